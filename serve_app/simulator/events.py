"""The clock of a simulation: what happens next, and when."""

import heapq
from collections.abc import Callable
from itertools import count


class Events:
    """Runs actions in the order of their times; those of one time in the order they came.

    Attributes:
        now: simulated seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self._numbers = count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, time_s: float, action: Callable[[], None]) -> None:
        """Have ``action`` done at ``time_s``, or now if that is past."""
        heapq.heappush(self._queue, (max(time_s, self.now), next(self._numbers), action))

    def run(self, until_s: float) -> None:
        """Do what is due up to ``until_s``."""
        while self._queue and self._queue[0][0] <= until_s:
            self.now, _, action = heapq.heappop(self._queue)
            action()
