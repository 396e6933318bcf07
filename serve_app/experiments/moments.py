"""What was observed of an arm, in sums that can be merged. Pure.

Units are what is assigned, so units are what varies independently: requests of one user are alike.
A mean over requests is then a ratio of two sums over units, and its variance comes by the delta
method (Deng, Knoblich and Lu, Applying the Delta Method in Metric Analytics, KDD 2018).
"""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over units, of which unit i has ``n`` observations that add up to ``s``.

    Attributes:
        units: how many.
        n, s, nn, ss, ns: sums of n, s, n squared, s squared, and n times s.
    """

    units: int = 0
    n: float = 0.0
    s: float = 0.0
    nn: float = 0.0
    ss: float = 0.0
    ns: float = 0.0

    @staticmethod
    def of(units: Iterable[tuple[float, float]]) -> "Moments":
        """Of each unit's number of observations and their sum."""
        found = Moments()
        for n, s in units:
            found += Moments(1, n, s, n * n, s * s, n * s)
        return found

    def __add__(self, other: "Moments") -> "Moments":
        return Moments(
            self.units + other.units,
            self.n + other.n,
            self.s + other.s,
            self.nn + other.nn,
            self.ss + other.ss,
            self.ns + other.ns,
        )

    @property
    def mean(self) -> float:
        """Of all observations; 0 if there are none."""
        return self.s / self.n if self.n else 0.0

    @property
    def spread(self) -> float:
        """The variance of one unit's part in the mean: that of the mean is this over ``units``."""
        if self.units < 2 or not self.n:
            return float("inf")
        mean, units = self.mean, self.units
        residuals = self.ss - 2 * mean * self.ns + mean * mean * self.nn
        return max(0.0, residuals) / (units - 1) / (self.n / units) ** 2

    @property
    def variance(self) -> float:
        """Of ``mean``."""
        return self.spread / self.units if self.units else float("inf")
