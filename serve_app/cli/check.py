"""What must be true of this machine before an application is started on it."""

import importlib.util
import os
import resource
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from serve_app.adapters import preflight
from serve_app.adapters.base import Base, read_base
from serve_app.cli import environment
from serve_app.cli.config_file import ConfigFile, Ours
from serve_app.cli.processes import RAY, Seen, look, members
from serve_app.directory import AdapterSettings
from serve_app.errors import AdapterRefused

GIB = 1 << 30
LEAST_MEMORY = 2 * GIB


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and what to do about it.

    Attributes:
        fatal: starting would fail; otherwise it may go well.
    """

    message: str
    fatal: bool = True


def machine(config: ConfigFile | None = None) -> list[Finding]:
    """What stands in the way here: of any application, or of this one."""
    seen = look()
    findings = [
        *earlier_runs(seen),
        *ray_clusters(seen),
        *memory(psutil.virtual_memory().available),
    ]
    if config is not None:
        findings += port(config.host, config.port)
    if config is None or config.ours:
        findings += engine()
    if config is not None and config.ours:
        findings += paths(config.ours)
    return findings


def earlier_runs(seen: Sequence[Seen]) -> list[Finding]:
    """Processes of a run that is on or did not end."""
    runs = {one.run for one in members(seen)}
    return [
        Finding(
            f"serve-app runs here already: {len(members(seen, run))} processes of run {run}; "
            "end it with `serve-app down`"
        )
        for run in sorted(filter(None, runs))
    ]


def ray_clusters(seen: Iterable[Seen]) -> list[Finding]:
    """A Ray cluster that is not a run of ours."""
    pids = [one.pid for one in seen if not one.run and any(word in one.title for word in RAY)]
    if not pids:
        return []
    return [
        Finding(
            f"a Ray cluster runs here (processes {', '.join(map(str, pids))}): deploy on it with "
            "`serve run CONFIG`, or end it with `ray stop`"
        )
    ]


def memory(available: int) -> list[Finding]:
    """Too little for Ray and one small engine."""
    if available >= LEAST_MEMORY:
        return []
    return [
        Finding(f"only {available / GIB:.1f} GiB of memory are free; Ray alone needs 1 GiB", False)
    ]


def port(host: str, number: int) -> list[Finding]:
    """The port to serve on is taken, and by whom."""
    if environment.is_free(number, host):
        return []
    holder = _listener(number) or "a process of another user"
    return [
        Finding(
            f"port {number} on {host} is taken by {holder}; end it, or choose another: --port N"
        )
    ]


def engine() -> list[Finding]:
    """vLLM is not installed."""
    if importlib.util.find_spec("vllm") is not None:
        return []
    return [Finding("vLLM is not installed: install serve-app[cpu] or serve-app[gpu]")]


def paths(ours: Ours) -> list[Finding]:
    """Directories the settings name that are not there."""
    model = ours.settings.engine.model
    named = [("engine.model", model)] if model.startswith((".", "/", "~")) else []
    named += [
        (f"adapter {one.name}", one.path)
        for one in ours.directory.adapters
        if "://" not in one.path
    ]
    return [
        Finding(f"{what}: no such directory: {path}")
        for what, path in named
        if not Path(path).expanduser().is_dir()
    ]


def adapters(ours: Ours) -> list[Finding]:
    """Declared adapters on this machine that would be refused, and why.

    Raises:
        ConfigError: the base model cannot be read.
    """
    engine = ours.settings.engine
    local = [one for one in ours.directory.adapters if Path(one.path).is_dir()]
    if not local:
        return []
    base = read_base(engine.model, trust_remote_code=engine.trust_remote_code)
    refusals = (_refusal(one, base, engine.max_lora_rank) for one in local)
    return [Finding(refusal) for refusal in refusals if refusal is not None]


def _refusal(declared: AdapterSettings, base: Base, max_rank: int) -> str | None:
    try:
        preflight.check(declared.name, Path(declared.path), base, max_rank)
    except AdapterRefused as error:
        return f"{error.message} [{error.code}] ({declared.path})"
    return None


def resources() -> environment.Machine:
    """What HAProxy may use here."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    unlimited = hard == resource.RLIM_INFINITY
    return environment.Machine(os.cpu_count() or 1, 1_048_576 if unlimited else hard)


def _listener(number: int) -> str | None:
    """The process that listens there, if it may be known."""
    for connection in psutil.net_connections("tcp"):
        listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:] == (number,)
        if listens and connection.pid is not None:
            return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return None
