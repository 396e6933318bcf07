"""An application started by a command, for as long as the command needs it."""

import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import httpx

from serve_app.cli.up import script

START_WITHIN_S = 900.0
STOP_WITHIN_S = 60.0
"""Longer than ``serve-app up`` takes to end a run of which some part does not want to."""


class NotStarted(Exception):
    """The application ended, or took too long; what it said is on standard error."""


@contextmanager
def served(url: str, arguments: Sequence[str]) -> Iterator[None]:
    """``serve-app up`` with ``arguments``, ready at ``url``. It is ended even if this process is
    told to end.

    Raises:
        NotStarted: it does not start.
    """
    command = [str(script("serve-app")), "up", *arguments]
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    launcher = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own script
    try:
        _await_ready(url, launcher)
        yield
    finally:
        launcher.send_signal(signal.SIGINT)
        launcher.wait(STOP_WITHIN_S)
        signal.signal(signal.SIGTERM, before)


def _await_ready(url: str, launcher: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while launcher.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.5)
    raise NotStarted(f"the application did not start (exit code {launcher.poll()})")
