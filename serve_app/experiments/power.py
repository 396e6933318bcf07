"""What an experiment can tell, and how long it would take. Pure.

Of the interval of ``sequential``: an effect is found by a given time with the probability that the
estimate, whose error is normal, is then outside what the interval reaches. Found sooner counts too,
so it is a little more often than said.
"""

from math import sqrt

from scipy.optimize import brentq
from scipy.stats import norm

from serve_app.experiments.moments import Moments
from serve_app.experiments.sequential import BURN_IN, effective, radius

POWER = 0.8
_MOST = 1e12


def detectable(
    arm: Moments, other: Moments, alpha: float = 0.05, power: float = POWER
) -> float | None:
    """The least difference that would be found with so many units as there are; None if there are
    too few to tell."""
    if min(arm.units, other.units) < BURN_IN:
        return None
    units = effective(arm.units, other.units)
    return _scale(arm, other) * _reach(units, alpha, power)


def needed(
    effect: float, arm: Moments, other: Moments, alpha: float = 0.05, power: float = POWER
) -> int | None:
    """Units in both arms together, shared out as now, to find a difference of ``effect``; None if
    there are too few to tell, or it would never be found."""
    if min(arm.units, other.units) < BURN_IN or not effect:
        return None
    scale, both = _scale(arm, other), arm.units + other.units
    a_part = effective(arm.units, other.units) / both
    wanted = abs(effect) / scale if scale else _MOST

    def short(units: float) -> float:
        return _reach(units, alpha, power) - wanted

    least = effective(BURN_IN, BURN_IN)
    if short(least) <= 0:
        return max(2 * BURN_IN, round(least / a_part))
    if short(_MOST) > 0:
        return None
    return int(brentq(short, least, _MOST) / a_part)


def _reach(units: float, alpha: float, power: float) -> float:
    return radius(units, alpha) + float(norm.ppf(power)) / sqrt(units)


def _scale(arm: Moments, other: Moments) -> float:
    return sqrt((arm.variance + other.variance) * effective(arm.units, other.units))
