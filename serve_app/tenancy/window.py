"""How much was used in the last minute, exactly. Pure: the time is given.

The ``limits`` package counts the same way, but what it has counted cannot be given back, and a
charge by estimate must be.
"""

from math import floor

WINDOW_S = 60


class Window:
    """Amounts of the last ``WINDOW_S`` seconds, by the second in which they were used.

    A second counts until it is wholly outside the window, so never is more used in any 60 seconds
    than ``used`` said.
    """

    def __init__(self) -> None:
        self._seconds = [0] * (WINDOW_S + 1)
        self._last = self._newest = 0
        self._used = 0

    def used(self, now: float) -> int:
        """What counts at ``now``, in seconds that never go back."""
        self._turn(floor(now))
        return self._used

    def add(self, now: float, amount: int) -> int:
        """Count ``amount``; the second it was counted in."""
        second = floor(now)
        self._turn(second)
        self._seconds[second % len(self._seconds)] += amount
        self._used += amount
        self._newest = second
        return second

    def correct(self, second: int, now: float, by: int) -> None:
        """What was counted in ``second`` was ``by`` more, or, below zero, less."""
        self._turn(floor(now))
        if second > self._last - len(self._seconds):
            self._seconds[second % len(self._seconds)] += by
            self._used += by

    def frees_s(self, now: float, amount: int) -> float:
        """Seconds until ``amount`` of what counts now counts no more."""
        self._turn(floor(now))
        freed = 0
        for second in range(self._last - WINDOW_S, self._last + 1):
            freed += self._seconds[second % len(self._seconds)]
            if freed >= amount:
                return second + len(self._seconds) - now
        return float(WINDOW_S)

    def clears_s(self, now: float) -> float:
        """Seconds until nothing counts any more."""
        return max(0.0, self._newest + len(self._seconds) - now)

    def _turn(self, second: int) -> None:
        """Forget the seconds that have left the window since the last turn."""
        passed = min(second - self._last, len(self._seconds))
        for step in range(1, passed + 1):
            place = (self._last + step) % len(self._seconds)
            self._used -= self._seconds[place]
            self._seconds[place] = 0
        self._last = max(self._last, second)
