"""How much CPU time everything has used by now."""

from collections.abc import Mapping
from dataclasses import dataclass

import psutil

from serve_app.bench.plan import Side
from serve_app.bench.roles import Process, role


@dataclass(frozen=True)
class Snapshot:
    """CPU seconds used so far: by each process of each side, this process, and the machine."""

    sides: Mapping[Side, list[Process]]
    client_s: float
    machine_s: float


def look(roots: Mapping[Side, int]) -> Snapshot:
    """What everything has used by now. ``roots``: the process each side was started as."""
    own = psutil.Process().cpu_times()
    machine = psutil.cpu_times()
    return Snapshot(
        sides={side: _processes(side, pid) for side, pid in roots.items()},
        client_s=own.user + own.system,
        machine_s=machine.user + machine.nice + machine.system + machine.irq + machine.softirq,
    )


def family(root: int) -> list[psutil.Process]:
    """A process and all that descend from it; nothing if it has ended."""
    try:
        process = psutil.Process(root)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def title(process: psutil.Process) -> str:
    """How it calls itself."""
    return " ".join(process.cmdline()).strip()


def _processes(side: Side, root: int) -> list[Process]:
    return [one for process in family(root) if (one := _process(side, process))]


def _process(side: Side, process: psutil.Process) -> Process | None:
    try:
        times = process.cpu_times()
        return Process(process.pid, role(side, title(process)), times.user + times.system)
    except psutil.Error:
        return None  # it ended while we looked
