"""Which resident version is worth least to keep. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

HALF_LIFE_S = 120.0
"""After so many seconds a use counts half."""
LEAST_COST_S = 0.001


@dataclass(frozen=True, slots=True)
class Uses:
    """How often a version has been used of late: uses decay by half every ``HALF_LIFE_S``.

    This is LRFU's combined recency and frequency, sum of 2^(-age / half-life) over all uses, kept
    as one number and the time it was right (Lee et al., "LRFU: A Spectrum of Policies that
    Subsumes the Least Recently Used and Least Frequently Used Policies", IEEE ToC 50(12), 2001).

    Attributes:
        count: decayed uses at the time ``at``.
        at: monotonic seconds of the last use.
    """

    count: float
    at: float

    def decayed(self, now: float) -> float:
        """Decayed uses at ``now``."""
        return float(self.count * 2.0 ** (-max(0.0, now - self.at) / HALF_LIFE_S))

    def again(self, now: float) -> "Uses":
        """One use more."""
        return Uses(self.decayed(now) + 1.0, now)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A version that may have to go.

    Attributes:
        name: the version's name.
        uses: of late.
        load_s: seconds its load took, what it costs to have it back.
        retired: nobody will ask for it again.
    """

    name: str
    uses: Uses
    load_s: float
    retired: bool = False


def value(candidate: Candidate, now: float) -> float:
    """Seconds of loading that keeping it is expected to save: frequency x cost to reload.

    GreedyDual-Size with Frequency (Cherkasova, HP Labs HPL-98-69R1, 1998) divides this by size;
    all adapters take one place of the same size, and decay does what its inflation clock does.
    """
    return candidate.uses.decayed(now) * max(candidate.load_s, LEAST_COST_S)


def cheapest_first(candidates: Iterable[Candidate], now: float) -> list[Candidate]:
    """Candidates in the order in which to let them go: retired ones, then those of least value;
    among equals the one used longest ago."""
    return sorted(candidates, key=lambda c: (not c.retired, value(c, now), c.uses.at))
