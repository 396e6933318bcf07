"""What an experiment shows, in a word and a sentence. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from serve_app.experiments.mismatch import Period, is_mismatch
from serve_app.experiments.moments import Moments
from serve_app.experiments.power import detectable, needed
from serve_app.experiments.sequential import BURN_IN, Difference, difference

ALPHA = 0.05
"""The chance that any arm is said to be better or worse that is not, over all looks together."""


class Finding(StrEnum):
    TOO_EARLY = "too_early"
    BETTER = "better"
    WORSE = "worse"
    ALIKE = "alike"  # what difference there may be does not matter
    HARMFUL = "harmful"  # more errors than the control arm
    MISMATCH = "mismatch"  # units are not shared out as the weights say


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of one arm beside the control arm.

    Attributes:
        score: the arm's less the control arm's, in units of what is compared.
        more_units: in both arms together, until the present difference would be told; None if
            that cannot be said, or there is nothing more to know.
        detectable: the least difference that would be found with so many units as there are, four
            times of five; None if there are too few.
    """

    arm: str
    finding: Finding
    score: Difference
    errors: Difference
    text: str
    more_units: int | None = None
    detectable: float | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """An arm.

    Attributes:
        score: what is compared, such as feedback.
        errors: 1 for a request that failed, 0 for one that did not.
    """

    name: str
    score: Moments
    errors: Moments


def verdicts(
    control: Observed,
    others: Sequence[Observed],
    periods: Sequence[Period],
    matters: float = 0.0,
    *,
    less_is_better: bool = False,
) -> list[Verdict]:
    """Each arm beside the control arm. The level is divided among arms, and between score and
    errors (Bonferroni), so that it holds for all that is said.

    Args:
        periods: how units were shared out.
        matters: the least difference in score that anybody cares for.
        less_is_better: as of times.
    """
    level = ALPHA / max(1, len(others)) / 2
    if is_mismatch(periods):
        return [_mismatched(control, other, level) for other in others]
    return [_verdict(control, other, matters, less_is_better, level) for other in others]


def _mismatched(control: Observed, other: Observed, level: float) -> Verdict:
    score = difference(other.score, control.score, level)
    errors = difference(other.errors, control.errors, level)
    return Verdict(other.name, Finding.MISMATCH, score, errors, _MISMATCH)


def _verdict(
    control: Observed, other: Observed, matters: float, less_is_better: bool, level: float
) -> Verdict:
    score = difference(other.score, control.score, level)
    errors = difference(other.errors, control.errors, level)
    more, least = None, detectable(other.score, control.score, level)
    if errors.low > 0:
        finding = Finding.HARMFUL
        text = (
            f"{other.name} fails more often than {control.name}: by {errors.estimate:.1%} of "
            f"requests ({errors.low:.1%} to {errors.high:.1%}). Stop it."
        )
    elif max(abs(score.low), abs(score.high)) < matters:
        finding = Finding.ALIKE
        text = f"{other.name} and {control.name} differ by less than {matters:g}: {_span(score)}."
    elif score.is_told:
        finding = Finding.BETTER if (score.high < 0) == less_is_better else Finding.WORSE
        text = f"{other.name} is {finding} than {control.name}: by {_span(score)}."
    else:
        finding = Finding.TOO_EARLY
        more = _more(other, control, score, level)
        text = _too_early(other, control, score, more, least)
    return Verdict(other.name, finding, score, errors, text, more, least)


_MISMATCH = (
    "Units are not shared out as the weights say, so nothing here can be believed: requests of one "
    "arm get lost, or units are counted in the wrong one."
)


def _more(other: Observed, control: Observed, score: Difference, level: float) -> int | None:
    units = needed(score.estimate, other.score, control.score, level)
    return None if units is None else max(0, units - other.score.units - control.score.units)


def _too_early(
    other: Observed, control: Observed, score: Difference, more: int | None, least: float | None
) -> str:
    if min(other.score.units, control.score.units) < BURN_IN:
        return f"Too early: nothing is said before each arm has {BURN_IN} units with a score."
    text = f"Not decided: {other.name} less {control.name} is {_span(score)}."
    if more:
        text += f" If that is the difference, about {more:,} more units would tell."
    if least:
        text += f" One of {least:.2g} would have been found by now, four times of five."
    return text


def _span(found: Difference) -> str:
    return f"{found.estimate:+.3g} ({found.low:+.3g} to {found.high:+.3g})"
