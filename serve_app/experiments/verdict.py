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
class Figure:
    """What arms are compared by.

    Attributes:
        unit: as a difference is said: ``+0.2 in score``.
        needs: what a unit must have, to tell of it.
        less_is_better: as of times.
    """

    unit: str = "in score"
    needs: str = "feedback"
    less_is_better: bool = False


SCORE = Figure()


@dataclass(frozen=True, slots=True)
class ArmMoments:
    """What was observed of an arm.

    Attributes:
        score: what is compared, such as feedback.
        errors: 1 for a request that failed, 0 for one that did not.
    """

    name: str
    score: Moments
    errors: Moments


def verdicts(
    control: ArmMoments,
    others: Sequence[ArmMoments],
    periods: Sequence[Period],
    min_effect: float = 0.0,
    figure: Figure = SCORE,
    alpha: float = ALPHA,
) -> list[Verdict]:
    """Each arm beside the control arm. The level is divided among arms, and between score and
    errors (Bonferroni), so that it holds for all that is said.

    Args:
        periods: how units were shared out.
        min_effect: the least difference in score that anybody cares for.
        alpha: the chance that anything is said that is not so.
    """
    level = alpha / max(1, len(others)) / 2
    if is_mismatch(periods):
        return [_mismatched(control, other, level) for other in others]
    return [_verdict(control, other, min_effect, figure, level) for other in others]


def spent(epochs: int) -> float:
    """The level for the latest of so many weights. What was observed under others is left out: who
    came when an arm had fewer units is not to be compared with who came when it had more. All
    levels together are ``ALPHA``."""
    return ALPHA / (epochs * (epochs + 1)) if epochs else ALPHA / 2


def _mismatched(control: ArmMoments, other: ArmMoments, level: float) -> Verdict:
    score = difference(other.score, control.score, level)
    errors = difference(other.errors, control.errors, level)
    return Verdict(other.name, Finding.MISMATCH, score, errors, _MISMATCH)


def _verdict(
    control: ArmMoments, other: ArmMoments, min_effect: float, figure: Figure, level: float
) -> Verdict:
    score = difference(other.score, control.score, level)
    errors = difference(other.errors, control.errors, level)
    more, least = None, detectable(other.score, control.score, level)
    arms, by = (other.name, control.name), _span(score, figure)
    if errors.low > 0:
        finding = Finding.HARMFUL
        text = (
            f"{arms[0]} fails more often than {arms[1]}: by {errors.estimate:.1%} of requests "
            f"({errors.low:.1%} to {errors.high:.1%}). Stop it."
        )
    elif score.low < score.high and max(abs(score.low), abs(score.high)) < min_effect:
        finding = Finding.ALIKE
        text = f"{arms[0]} and {arms[1]} differ by less than {min_effect:g}: {by}."
    elif score.is_told:
        better = (score.high < 0) == figure.less_is_better
        finding = Finding.BETTER if better else Finding.WORSE
        text = f"{arms[0]} is {finding} than {arms[1]}: {by}."
    else:
        finding = Finding.TOO_EARLY
        more = _more(other, control, score, level)
        text = _too_early(other, control, figure, by, more, least)
    return Verdict(other.name, finding, score, errors, text, more, least)


_MISMATCH = (
    "Units are not shared out as the weights say, so nothing here can be believed: requests of one "
    "arm get lost, or units are counted in the wrong one."
)


def _more(other: ArmMoments, control: ArmMoments, score: Difference, level: float) -> int | None:
    units = needed(score.estimate, other.score, control.score, level)
    return None if units is None else max(0, units - other.score.units - control.score.units)


def _too_early(
    other: ArmMoments,
    control: ArmMoments,
    figure: Figure,
    by: str,
    more: int | None,
    least: float | None,
) -> str:
    if min(other.score.units, control.score.units) < BURN_IN:
        return (
            f"Too early for {other.name}: it and {control.name} need {BURN_IN} units each with "
            f"{figure.needs}."
        )
    text = f"Not decided: {other.name} less {control.name} is {by}."
    if more:
        text += f" If that is the difference, about {more:,} more units with {figure.needs} would"
        text += " tell."
    if least:
        text += f" One of {least:.2g} would have been found by now, four times of five."
    return text


def _span(found: Difference, figure: Figure) -> str:
    return f"{found.estimate:+.3g} {figure.unit} ({found.low:+.3g} to {found.high:+.3g})"
