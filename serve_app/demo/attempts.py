"""Makes a voice again, from another seed, while it can be confused with others; no torch."""

from collections.abc import Callable
from typing import Protocol, TypeVar

# How well a training ends depends on chance, and on how a processor rounds. All but a few first
# attempts are good: three that are not mean that the recipe itself is wrong.
ATTEMPTS = 3


class Checked(Protocol):
    """What was measured on a voice that was made."""

    @property
    def tight(self) -> bool:
        """Whether the voice can be told from all others."""


C = TypeVar("C", bound=Checked)


def until_tight(make: Callable[[int], C], again: Callable[[C, int], None]) -> C:
    """Return the first tight result of `make(0)`, `make(1)` and so on, or the last attempt's.

    Calls `again` with each result that is not good enough, and with the number of the attempt that
    follows.
    """
    made = make(0)
    for attempt in range(1, ATTEMPTS):
        if made.tight:
            break
        again(made, attempt)
        made = make(attempt)
    return made
