"""Whether the Ray cluster of a run still stands."""

from contextlib import suppress

import psutil

from serve_app.cli import processes


class Cluster:
    """The processes that Ray cannot do without. ``serve run`` would wait for ever on a dead one."""

    def __init__(self, run: str) -> None:
        self._run = run
        self._known: dict[str, psutil.Process] = {}

    def is_whole(self) -> bool:
        """Whether all of them run."""
        return not self.has_lost_one() and len(self._known) == len(processes.RAY)

    def has_lost_one(self) -> bool:
        """Whether one that was seen before has ended."""
        if len(self._known) < len(processes.RAY):
            self._find()
        return not all(map(processes.is_alive, self._known.values()))

    def _find(self) -> None:
        for one in processes.members(processes.look(), self._run):
            for part in processes.RAY:
                if part in one.title:
                    with suppress(psutil.NoSuchProcess):
                        self._known.setdefault(part, psutil.Process(one.pid))
