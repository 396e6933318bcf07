"""A running application for tests: real `serve-app up`, a free port, and nothing left behind."""

import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import yaml

from serve_app.cli.environment import FOLDER_PREFIX, FOLDERS
from serve_app.cli.exits import STOPPED

REPOSITORY = Path(__file__).parent.parent
START_TIMEOUT_S = 240
END_TIMEOUT_S = 60
STOPPING = b"stopping ..."
"""What `serve-app up` says once it ends in order; a Ctrl-C from then on ends it at once."""
DEMO_DATA = ".serve-app"
HAPROXY = "bin/haproxy"


@dataclass(frozen=True)
class RunningApp:
    """An application that answers at ``url``.

    Attributes:
        launcher: the process of `serve-app up`.
        log: everything it printed.
        data: its registry's directory.
    """

    url: str
    launcher: subprocess.Popen[bytes]
    log: Path
    data: Path

    def client(self, key: str) -> openai.OpenAI:
        """A client with no connection open between requests: what outlives a test, as an exception
        does that knows its client, leaves no socket for the garbage collector to complain of."""
        closing = {"connection": "close"}
        return openai.OpenAI(
            base_url=f"{self.url}/v1", api_key=key, max_retries=0, default_headers=closing
        )

    def async_client(self, key: str) -> openai.AsyncOpenAI:
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0)

    def post(self, path: str, key: str, **request: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}", **request.pop("headers", {})}
        return httpx.post(f"{self.url}{path}", headers=headers, timeout=60, **request)

    def processes(self, title: str) -> list[psutil.Process]:
        """This application's processes whose command line contains ``title``."""
        run = _run_of(self.launcher.pid)
        return [p for p in psutil.process_iter() if title in _title(p) and _mark(p) == run]


@contextmanager
def running(config: dict[str, Any], *options: str) -> Iterator[RunningApp]:
    """Serve ``config`` with `serve-app up` until the context is left.

    Its registry is new and its own, unless ``config`` names a ``data_dir`` for it.
    """
    port, config = free_port(), deepcopy(config)
    with tempfile.TemporaryDirectory(prefix="serve-app-test-") as folder:
        file, log = Path(folder) / "config.yaml", Path(folder) / "up.log"
        registry = args(config).setdefault("registry", {})
        if registry.get("data_dir", DEMO_DATA) == DEMO_DATA:
            registry["data_dir"] = str(Path(folder) / "data")
        file.write_text(yaml.safe_dump(config))
        command = [Path(sys.executable).with_name("serve-app"), "up", file, "--verbose", "--force"]
        with log.open("wb") as out:
            launcher = subprocess.Popen(
                [*map(str, command), "--port", str(port), *options],
                cwd=REPOSITORY,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_heed_interrupts,  # noqa: PLW1509 - no threads are running yet
            )
        app = RunningApp(f"http://127.0.0.1:{port}", launcher, log, Path(registry["data_dir"]))
        try:
            _await_ready(app)
            yield app
        finally:
            _end(app)


def stop(app: RunningApp) -> None:
    """Ctrl-C, as a person would: it ends in order, and none of its processes or files is left."""
    run = _run_of(app.launcher.pid)
    assert run is not None
    assert app.processes(HAPROXY)
    app.launcher.send_signal(signal.SIGINT)
    assert app.launcher.wait(END_TIMEOUT_S) == STOPPED
    assert not [_title(process) for process in psutil.process_iter() if _mark(process) == run]
    assert not (FOLDERS / f"{FOLDER_PREFIX}{run}").exists()


def config(name: str) -> dict[str, Any]:
    """A config file of the repository."""
    loaded: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs" / name).read_text())
    return loaded


def args(config: dict[str, Any]) -> dict[str, Any]:
    """The application's own settings in a config."""
    found: dict[str, Any] = config["applications"][0]["args"]
    return found


def deployment(config: dict[str, Any], name: str) -> dict[str, Any]:
    """What a config says of one deployment."""
    found: dict[str, Any]
    (found,) = [d for d in config["applications"][0]["deployments"] if d["name"] == name]
    return found


def eventually(true: Callable[[], object], within_s: float, what: str) -> None:
    """Wait until ``true()`` holds."""
    deadline = time.monotonic() + within_s
    while not true():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _await_ready(app: RunningApp) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and app.launcher.poll() is None:
        try:
            if httpx.get(f"{app.url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.25)
    raise AssertionError("it did not start:\n" + app.log.read_text(errors="replace")[-8000:])


def _end(app: RunningApp) -> None:
    """Ctrl-C twice, as a person in a hurry would: it ends at once."""
    launcher = app.launcher
    try:
        launcher.send_signal(signal.SIGINT)
        eventually(lambda: _is_stopping(app), END_TIMEOUT_S, "it heeds Ctrl-C")
        launcher.send_signal(signal.SIGINT)
        launcher.wait(END_TIMEOUT_S)
    finally:
        launcher.kill()


def _is_stopping(app: RunningApp) -> bool:
    return app.launcher.poll() is not None or STOPPING in app.log.read_bytes()


def _heed_interrupts() -> None:
    """A shell that has the tests in its background ignores SIGINT, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _run_of(launcher: int) -> str | None:
    runs = {_mark(child) for child in psutil.Process(launcher).children()} - {None}
    return next(iter(runs), None)


def _mark(process: psutil.Process) -> str | None:
    try:
        return process.environ().get("SERVE_APP_RUN")
    except (psutil.Error, OSError):
        return None


def _title(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""
