"""Every adapter load of a run, in a file that engines append to and the benchmark reads."""

import time
from pathlib import Path

LOADS_VARIABLE = "SERVE_APP_BENCH_LOADS"
"""Environment variable of engines: the file's path."""


def note(path: Path, name: str) -> None:
    """Write down that a load of ``name`` begins now. Lines are short, so that those of several
    processes do not mix."""
    with path.open("a") as file:
        file.write(f"{time.time():.3f} {name}\n")


def between(path: Path, begin: float, end: float) -> int:
    """Loads that began in ``[begin, end)``, in seconds of the wall clock."""
    if not path.exists():
        return 0
    times = (float(line.partition(" ")[0]) for line in path.read_text().splitlines())
    return sum(begin <= at < end for at in times)
