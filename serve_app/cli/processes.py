"""Which processes belong to a run of ``serve-app up``, and ending them.

A run gives everything it starts, however far down, one variable in the environment. That mark is
the only criterion: a process without it is never touched.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import psutil

MARK = "SERVE_APP_RUN"
RAY = ("gcs/gcs_server", "raylet/raylet")
"""What no Ray cluster can do without, as it stands in the title of the process."""

TERM_GRACE_S = 2.0
END_WITHIN_S = 10.0


@dataclass(frozen=True)
class Seen:
    """A process as it was seen once."""

    pid: int
    title: str
    environment: Mapping[str, str]

    @property
    def run(self) -> str | None:
        return self.environment.get(MARK)


def members(seen: Iterable[Seen], run: str | None = None) -> list[Seen]:
    """Those that carry the mark: of one run, or of any."""
    return [one for one in seen if one.run and run in (None, one.run)]


def is_alive(process: psutil.Process) -> bool:
    """Whether it runs still; a zombie does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def look() -> list[Seen]:
    """Every process but this one whose environment may be read: our own user's."""
    others = (process for process in psutil.process_iter() if process.pid != os.getpid())
    return [one for process in others if (one := _seen(process))]


def end(
    run: str | None = None,
    look: Callable[[], Sequence[Seen]] = look,
    within_s: float = END_WITHIN_S,
) -> list[Seen]:
    """End all processes of one run, or of every run: asked first, killed if that does not help.

    Returns:
        What was ended. Whatever still lives after ``within_s`` is in ``look()`` still.
    """
    ended: dict[int, Seen] = {}
    deadline = time.monotonic() + within_s
    while (alive := members(look(), run)) and time.monotonic() < deadline:
        ended |= {one.pid: one for one in alive}
        _end(alive)
    return list(ended.values())


def _end(alive: Sequence[Seen]) -> None:
    processes = [process for one in alive if (process := _still(one))]
    for process in processes:
        _signal(process.terminate)
    _, stubborn = psutil.wait_procs(processes, timeout=TERM_GRACE_S)
    for process in stubborn:
        _signal(process.kill)
    psutil.wait_procs(stubborn, timeout=TERM_GRACE_S)


def _still(one: Seen) -> psutil.Process | None:
    """The process behind ``one``, unless its number was given to another since."""
    try:
        process = psutil.Process(one.pid)
        return process if process.environ().get(MARK) == one.run else None
    except (psutil.Error, OSError):
        return None


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.Error:
        return  # gone already, which is what was wanted


def _seen(process: psutil.Process) -> Seen | None:
    try:
        environment = process.environ()
        return Seen(process.pid, " ".join(process.cmdline()).strip(), environment)
    except (psutil.Error, OSError):
        return None
