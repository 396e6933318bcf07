"""``serve-app up``: starts an application with the fast data path, and leaves nothing behind.

Whatever ends it (a signal, a failure, the death of a part), every process it caused is ended.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml
from rich.console import Console

from serve_app.cli import check, environment, guardian, processes
from serve_app.cli.cluster import Cluster
from serve_app.cli.config_file import ConfigFile
from serve_app.cli.exits import FAILED, STOPPED
from serve_app.cli.progress import Progress, Watch

STOP_GRACE_S = 8.0
RAY_DIED = "Ray died"
_LAST_LINES = 30


@dataclass(frozen=True)
class Options:
    """How to start, beside what.

    Attributes:
        plain: with Serve's own proxy instead of HAProxy.
        verbose: let the logs of Ray and Serve through, instead of into a file.
    """

    plain: bool = False
    verbose: bool = False


def up(config: ConfigFile, options: Options, console: Console) -> int:
    """Serve ``config`` until a signal or the end of Serve.

    Returns:
        The exit code: ``STOPPED`` as asked, or ``FAILED``.
    """
    with _stop_signals() as stop, _run(config) as run:
        serve = run.start(options)
        cluster = Cluster(run.name)
        failure = _await_ready(serve, cluster, run, stop, console)
        if failure is None:
            failure = _await_end(serve, cluster, stop)
        if failure is not None:
            _tell(failure, run, options, console)
            return FAILED
        console.print("stopping ...")
        _stop(serve)
    console.print("stopped")
    return STOPPED


class Run:
    """The processes of one start, found again by the run's name."""

    def __init__(self, config: ConfigFile, name: str, folder: Path) -> None:
        self.config = config
        self.name = name
        self.log = folder / "serve.log"
        self._folder = folder

    def start(self, options: Options) -> subprocess.Popen[bytes]:
        """Start ``serve run`` in a session of its own, so that a Ctrl-C is ours to pass on."""
        serve, config = script("serve"), self._config_file()
        with self.log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own interpreter's script
                [serve, "run", "--address", "local", config],
                env=self._environment(options),
                stdin=subprocess.DEVNULL,
                stdout=None if options.verbose else log,
                stderr=None if options.verbose else log,
                start_new_session=True,
            )

    def _environment(self, options: Options) -> dict[str, str]:
        base = environment.marked(os.environ, self.name)
        if options.plain:
            return environment.without_fast_path(base)
        ports = environment.free_ports(environment.is_free, environment.any_free)
        haproxy = script("serve-app-haproxy")
        return environment.fast_path(base, self._folder, haproxy, ports, check.resources())

    def _config_file(self) -> Path:
        path = self._folder / "config.yaml"
        path.write_text(yaml.safe_dump(self.config.content, sort_keys=False))
        return path


def script(name: str) -> Path:
    """A command installed beside this interpreter."""
    path = Path(sys.executable).with_name(name)
    return path if path.exists() else Path(shutil.which(name) or name)


@contextmanager
def _run(config: ConfigFile) -> Iterator[Run]:
    """A run whose processes have all ended when the context is left, or this process is killed."""
    name = uuid.uuid4().hex[:10]
    folder = environment.FOLDERS / f"{environment.FOLDER_PREFIX}{name}"
    folder.mkdir(mode=0o700)
    with _guardian(name, folder):
        yield Run(config, name, folder)


@contextmanager
def _guardian(name: str, folder: Path) -> Iterator[None]:
    command = [sys.executable, "-m", "serve_app.cli.guardian", name, str(folder)]
    watching = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)  # noqa: S603
    try:
        yield
    finally:
        processes.end(name)
        with suppress(BrokenPipeError, subprocess.TimeoutExpired):
            watching.communicate(guardian.ALL_ENDED, timeout=5)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _stop_signals() -> Iterator[threading.Event]:
    """An event that is set when this process is asked to stop; asked twice, it does so at once."""
    stop = threading.Event()

    def ask(_number: int, _frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()

    asks = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, ask) for number in asks}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _await_ready(
    serve: subprocess.Popen[bytes],
    cluster: Cluster,
    run: Run,
    stop: threading.Event,
    console: Console,
) -> str | None:
    """Wait until the application answers, Serve gives up, or a stop is asked.

    Returns:
        What failed, if something did.
    """
    watch = Watch(run.config.url, run.name)
    began = time.monotonic()
    said = Progress()
    with console.status(f"starting {run.config.path} ...") as status:
        while serve.poll() is None and not stop.is_set():
            if watch.is_ready():
                _welcome(run.config, time.monotonic() - began, console)
                return None
            now = watch.progress()
            if now.failure is not None:
                return now.failure
            if cluster.has_lost_one():
                return RAY_DIED
            status.update(f"starting {run.config.path}: {now}")
            if now != said and not console.is_terminal:
                console.print(f"starting: {now}")
            said = now
            stop.wait(0.5)
    return None


def _await_end(
    serve: subprocess.Popen[bytes], cluster: Cluster, stop: threading.Event
) -> str | None:
    """Wait until a stop is asked, or what the application stands on is gone.

    Returns:
        What failed, if something did.
    """
    while not stop.is_set():
        if serve.poll() is not None:
            return f"serve run ended by itself, with code {serve.poll()}"
        if not cluster.is_whole():
            return RAY_DIED
        stop.wait(0.5)
    return None


def _stop(serve: subprocess.Popen[bytes]) -> None:
    """Let Serve shut down in order, for a moment; what is left then, the run's context ends."""
    serve.send_signal(signal.SIGINT)
    with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
        serve.wait(STOP_GRACE_S)


def _welcome(config: ConfigFile, after_s: float, console: Console) -> None:
    console.print(f"[bold green]ready[/] after {after_s:.0f} s on {config.url}")
    if config.ours is None:
        return
    console.print(
        f'try: curl {config.url}/v1/models -H "Authorization: Bearer $KEY"'
        f"    (KEY: a key of {config.path}; more at {config.url}/docs)",
        highlight=False,
        soft_wrap=True,
    )


def _tell(failure: str, run: Run, options: Options, console: Console) -> None:
    if not options.verbose and run.log.exists():
        lines = run.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)
    console.print(f"[bold red]error:[/] {run.config.path} failed:")
    console.print(failure.strip(), markup=False, highlight=False, soft_wrap=True)
