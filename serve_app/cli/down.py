"""``serve-app down``: ends whatever runs of ``serve-app up`` left or still have on this machine."""

import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console

from serve_app.cli import processes
from serve_app.cli.environment import FOLDER_PREFIX, FOLDERS
from serve_app.cli.exits import FAILED, STOPPED
from serve_app.cli.processes import Seen


def down(console: Console) -> int:
    """End every process that carries a run's mark, and no other.

    Returns:
        The exit code: ``FAILED`` only if something could not be ended.
    """
    ended = processes.end()
    left = processes.members(processes.look())
    _remove_folders()
    console.print(account(ended), highlight=False, soft_wrap=True)
    if left:
        console.print(f"could not end: {', '.join(str(one.pid) for one in left)}", style="red")
        return FAILED
    return STOPPED


def account(ended: Iterable[Seen]) -> str:
    """What was ended, in a line."""
    names = Counter(name(one.title) for one in ended)
    if not names:
        return "nothing of serve-app runs here"
    total = names.total()
    what = ", ".join(f"{count} {title}" for title, count in sorted(names.items()))
    return f"ended {total} process{'es' if total > 1 else ''}: {what}"


def name(title: str) -> str:
    """A short name for a process: ``haproxy`` for ``/some/where/haproxy -db -f ...``."""
    first = title.split(" ", 1)[0]
    if first.startswith("ray::"):
        return first.split(".", 1)[0]
    if "python" not in first:
        return Path(first).name or first
    arguments = title.split()[1:]
    scripts = [Path(word).name for word in arguments if not word.startswith("-")]
    return scripts[0] if scripts and "-c" not in arguments else "python"


def _remove_folders() -> None:
    for folder in FOLDERS.glob(f"{FOLDER_PREFIX}*"):
        shutil.rmtree(folder, ignore_errors=True)
