"""Differences between arms, and how sure they are at any time one looks. Pure.

The interval is an asymptotic confidence sequence (Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas,
Time-uniform central limit theory and asymptotic confidence sequences, Annals of Statistics 2024):
Robbins' normal mixture over the estimate, scaled by the variance as estimated so far. It holds at
all times together, so one may look whenever one likes and stop when one has seen enough; an
interval for one look would be wrong far more often than it says.
"""

from dataclasses import dataclass
from functools import lru_cache
from math import exp, inf, log, sqrt

from scipy.special import lambertw

from serve_app.experiments.moments import Moments

BURN_IN = 50
"""Units in each arm before anything is said: the variance must be known somewhat."""

SHARPEST_AT = 500
"""Units in each of two arms at which the interval is narrowest, of all that hold at any time."""


@dataclass(frozen=True, slots=True)
class Difference:
    """An arm's mean less another's.

    Attributes:
        low, high: of the interval, infinite while there is too little to tell.
        p: the smallest level at which zero would be outside; valid at any time.
    """

    estimate: float
    low: float
    high: float
    p: float

    @property
    def is_told(self) -> bool:
        """Whether it is not zero."""
        return self.low > 0 or self.high < 0


def difference(arm: Moments, other: Moments, alpha: float = 0.05) -> Difference:
    """How ``arm`` differs from ``other``, at a level that holds however often one looks."""
    estimate = arm.mean - other.mean
    units = effective(arm.units, other.units)
    variance = arm.variance + other.variance
    if min(arm.units, other.units) < BURN_IN or variance == inf:
        return Difference(estimate, -inf, inf, 1.0)
    scale = sqrt(variance * units)
    half = scale * radius(units, alpha)
    return Difference(estimate, estimate - half, estimate + half, _p(estimate, scale, units, alpha))


def interval(arm: Moments, alpha: float = 0.05) -> tuple[float, float]:
    """Of an arm's mean, at a level that holds however often one looks; infinite while there is too
    little to tell, or all that was observed is the same."""
    if arm.units < BURN_IN or arm.variance == inf or not arm.spread:
        return -inf, inf
    half = sqrt(arm.spread) * radius(arm.units, alpha)
    return arm.mean - half, arm.mean + half


def effective(units: float, others: float) -> float:
    """Units of two arms in one: half of each, if they are alike."""
    return units * others / (units + others) if units and others else 0.0


def radius(units: float, alpha: float) -> float:
    """Half the interval after so many effective units, of a variance of one."""
    rho = _rho(alpha)
    return sqrt((units + rho) * log((units + rho) / (rho * alpha * alpha))) / units


@lru_cache
def _rho(alpha: float) -> float:
    """Which mixture is narrowest at ``SHARPEST_AT`` (Howard et al., Annals of Statistics 2021)."""
    best = float(-lambertw(-(alpha**2) / exp(1), -1).real) - 1
    return effective(SHARPEST_AT, SHARPEST_AT) / best


def _p(estimate: float, scale: float, units: float, alpha: float) -> float:
    """Of the mixture that ``alpha`` has."""
    if scale == 0:
        return 0.0 if estimate else 1.0
    rho = _rho(alpha)
    total = estimate / scale * units
    return min(1.0, sqrt((units + rho) / rho) * exp(-total * total / (2 * (units + rho))))
