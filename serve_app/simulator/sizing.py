"""How many are needed: the smallest number that is enough, in few trials. Pure."""

from collections.abc import Callable


def smallest(enough: Callable[[int], bool], most: int) -> int | None:
    """The smallest number from 1 to ``most`` that is enough; None if ``most`` is not.

    More must never be worse. Doubles until it is enough, so that large trials are rare, then
    halves the interval.
    """
    low, high = 0, 1
    while not enough(high):
        if high == most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def largest(works: Callable[[int], bool], most: int) -> int:
    """The largest number up to ``most`` that works, 0 if none does. Fewer must never be worse."""
    first_that_fails = smallest(lambda number: not works(number), most)
    return most if first_that_fails is None else first_that_fails - 1
