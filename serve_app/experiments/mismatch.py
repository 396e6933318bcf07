"""Whether arms have as many units as their weights say; where not, no result can be believed. Pure.

A sequential multinomial test (Lindon and Malek, Anytime-valid inference for multinomial count data,
NeurIPS 2022): the Bayes factor of a Dirichlet mixture against the weights. Its chance of ever being
above 1/alpha is at most alpha, so it may be looked at after every unit. After a change of weights
a new count begins, and factors multiply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

from scipy.special import gammaln

ALPHA = 0.001
"""An alarm stops an experiment: it must be as good as never false."""

_CONCENTRATION = 200.0
"""How near to the weights the mixture looks for what is wrong: a few per cent."""


@dataclass(frozen=True, slots=True)
class Period:
    """Units that came while the weights were these.

    Attributes:
        weights: of the arms; not all zero.
        counts: units each arm got that had none before.
    """

    weights: tuple[float, ...]
    counts: tuple[int, ...]


def p_value(periods: Sequence[Period]) -> float:
    """Valid at any time one looks; small when the counts do not go with the weights."""
    return min(1.0, exp(-max(0.0, sum(map(_log_factor, periods)))))


def is_mismatch(periods: Sequence[Period]) -> bool:
    """Whether to raise the alarm."""
    return p_value(periods) < ALPHA


def _log_factor(period: Period) -> float:
    if any(
        count and not weight for weight, count in zip(period.weights, period.counts, strict=True)
    ):
        return float("inf")
    pairs = [
        (weight / sum(period.weights), count)
        for weight, count in zip(period.weights, period.counts, strict=True)
        if weight
    ]
    total = sum(count for _, count in pairs)
    factor = gammaln(_CONCENTRATION) - gammaln(_CONCENTRATION + total)
    for share, count in pairs:
        prior = _CONCENTRATION * share
        factor += gammaln(prior + count) - gammaln(prior) - count * log(share)
    return float(factor)
