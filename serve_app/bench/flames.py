"""``--profile``: flame graphs of the gateway and the replica under the largest load."""

import shutil
import subprocess
import sys
from pathlib import Path

from serve_app.bench.bench import ask
from serve_app.bench.cpu import family, title
from serve_app.bench.derive import Target
from serve_app.bench.plan import Load, Side
from serve_app.bench.roles import Role, role
from serve_app.bench.sides import Server, SideFailed

RECORD_S = 15
PROFILED = (Role.GATEWAY, Role.REPLICA)


async def record(server: Server, load: Load, targets: list[Target], out: Path) -> list[Path]:
    """Keep our side under ``load`` while py-spy watches it.

    Returns:
        The flame graphs, one a process.

    Raises:
        SideFailed: there is no py-spy, or it may not look.
    """
    recorders = {path: _recorder(pid, path) for path, pid in _profiled(server, out).items()}
    try:
        while any(recorder.poll() is None for recorder in recorders.values()):
            await ask(server, load, targets)
    finally:
        for recorder in recorders.values():
            recorder.terminate()
            recorder.wait()
    return list(recorders)


def _profiled(server: Server, out: Path) -> dict[Path, int]:
    roles = {process.pid: role(Side.OURS, title(process)) for process in family(server.pid)}
    return {out / f"{name}.svg": pid for pid, name in roles.items() if name in PROFILED}


def _recorder(pid: int, path: Path) -> subprocess.Popen[bytes]:
    beside = Path(sys.executable).with_name("py-spy")
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise SideFailed("--profile needs py-spy: pip install py-spy")
    command = [found, "record", "--pid", str(pid), "--duration", str(RECORD_S), "-o", str(path)]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL)  # noqa: S603 - a fixed program
