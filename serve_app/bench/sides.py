"""The two servers: started together, waited for, and ended with everything they started."""

import asyncio
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

START_WITHIN_S = 600.0
STOP_WITHIN_S = 40.0
"""Longer than ``serve-app up`` takes to end a run of which some part does not want to."""

_LAST_LINES = 25
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None)


class SideFailed(Exception):
    """A server did not start, or stopped."""


@dataclass(frozen=True)
class Launch:
    """How to start a server.

    Attributes:
        environment: what it gets beside this process's own.
        ready: path that answers 200 once it serves.
        stop: signal that asks it to end in order.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    ready: str
    stop: signal.Signals
    log: Path


class Server:
    """A started server."""

    def __init__(self, launch: Launch, process: subprocess.Popen[bytes]) -> None:
        self.name = launch.name
        self.url = f"http://127.0.0.1:{launch.port}"
        self.pid = process.pid
        self._launch = launch
        self._process = process

    async def ready(self) -> None:
        """Wait until it serves.

        Raises:
            SideFailed: it ended, or takes too long.
        """
        deadline = time.monotonic() + START_WITHIN_S
        timeout = aiohttp.ClientTimeout(total=5)
        async with aiohttp.ClientSession(self.url, timeout=timeout) as session:
            while not await _answers(session, self._launch.ready):
                self.must_live()
                if time.monotonic() > deadline:
                    raise SideFailed(f"{self.name} did not start: {self.last_words()}")
                await asyncio.sleep(0.5)

    def must_live(self) -> None:
        """Notice an end.

        Raises:
            SideFailed: it has ended.
        """
        if self._process.poll() is not None:
            code = self._process.returncode
            raise SideFailed(f"{self.name} ended with code {code}: {self.last_words()}")

    def last_words(self) -> str:
        """The end of its log."""
        lines = self._launch.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        return "\n".join([str(self._launch.log), *lines])


@asynccontextmanager
async def running(launches: Sequence[Launch]) -> AsyncIterator[list[Server]]:
    """Servers that are ready, until the context is left.

    Raises:
        SideFailed: one of them does not start.
    """
    async with AsyncExitStack() as stack:
        servers = [stack.enter_context(_started(launch)) for launch in launches]
        await asyncio.gather(*(server.ready() for server in servers))
        yield servers


@contextmanager
def _started(launch: Launch) -> Iterator[Server]:
    with launch.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - our own interpreter and scripts
            launch.command,
            env={**os.environ, **launch.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - one thread runs here
        )
    try:
        yield Server(launch, process)
    finally:
        _end(process, launch.stop)


def _end_with_parent() -> None:
    """If even this benchmark is killed, the kernel asks the server to end (prctl(2))."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if sys.platform == "linux":
        _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def _end(process: subprocess.Popen[bytes], ask: signal.Signals) -> None:
    """Ask it to end; then kill what is left of all it had started."""
    started = _children(process.pid)
    process.send_signal(ask)
    with suppress(subprocess.TimeoutExpired):
        process.wait(STOP_WITHIN_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for left in started:
        with suppress(psutil.Error):
            left.kill()
    psutil.wait_procs(started, timeout=5)


def _children(pid: int) -> list[psutil.Process]:
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


async def _answers(session: aiohttp.ClientSession, path: str) -> bool:
    try:
        async with session.get(path) as answer:
            return answer.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False
