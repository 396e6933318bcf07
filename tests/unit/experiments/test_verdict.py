"""What is said of an arm: no more than was seen."""

import numpy as np
import pytest

from serve_app.experiments.mismatch import Period
from serve_app.experiments.moments import Moments
from serve_app.experiments.verdict import ArmMoments, Figure, Finding, Verdict, verdicts

EVEN = [Period((1, 1), (2000, 2000))]


def observed(name: str, mean: float, units: int = 2000, errors: float = 0.0) -> ArmMoments:
    """An arm whose scores have just this mean."""
    dice = np.random.default_rng(len(name) + units)
    drawn = dice.normal(0, 1, units)
    scores = Moments.of((1, float(s)) for s in drawn - drawn.mean() + mean)
    failed = Moments.of((1, float(f)) for f in dice.binomial(1, errors, units))
    return ArmMoments(name, scores, failed)


def said(other: ArmMoments, periods: list[Period] = EVEN, min_effect: float = 0.0) -> Verdict:
    (verdict,) = verdicts(observed("control", 0.0), [other], periods, min_effect)
    return verdict


@pytest.mark.parametrize(
    ("other", "finding", "words"),
    [
        (observed("b", 0.3), Finding.BETTER, "b is better than control: +0.3 in score"),
        (observed("b", -0.3), Finding.WORSE, "b is worse than control: -0.3 in score"),
        (observed("b", 0.3, errors=0.1), Finding.HARMFUL, "b fails more often than control"),
        (observed("b", 0.02), Finding.TOO_EARLY, "Not decided: b less control is"),
        (
            observed("b", 0.3, units=20),
            Finding.TOO_EARLY,
            "Too early for b: it and control need 50 units each",
        ),
    ],
)
def test_the_finding_and_its_words(other: ArmMoments, finding: Finding, words: str) -> None:
    verdict = said(other)
    assert verdict.finding is finding
    assert verdict.text.startswith(words)


def test_what_does_not_matter_is_alike() -> None:
    assert said(observed("b", 0.0), min_effect=0.2).finding is Finding.ALIKE
    assert said(observed("b", 0.0), min_effect=0.01).finding is Finding.TOO_EARLY


def test_a_difference_that_is_known_but_does_not_matter_is_alike() -> None:
    small = observed("b", 0.05, units=200_000)
    (verdict,) = verdicts(observed("control", 0.0, 200_000), [small], EVEN, min_effect=0.5)
    assert verdict.score.is_told
    assert verdict.finding is Finding.ALIKE


def test_scores_that_are_all_the_same_so_far_decide_nothing() -> None:
    same = [ArmMoments(name, Moments.of([(1, 1.0)] * 60), Moments()) for name in ("a", "b")]
    (verdict,) = verdicts(same[0], same[1:], EVEN)
    assert verdict.finding is Finding.TOO_EARLY


@pytest.mark.parametrize(
    ("seconds", "finding", "words"),
    [
        (-0.3, Finding.BETTER, "b is better than control: -0.3 s ("),
        (0.3, Finding.WORSE, "b is worse than control: +0.3 s ("),
        (0.02, Finding.TOO_EARLY, "Not decided: b less control is +0.02 s ("),
    ],
)
def test_where_less_is_better_words_have_the_sign_of_what_was_seen(
    seconds: float, finding: Finding, words: str
) -> None:
    control, other = observed("control", 0.0), observed("b", seconds)
    (verdict,) = verdicts(control, [other], EVEN, figure=Figure("s", less_is_better=True))
    assert verdict.finding is finding
    assert verdict.text.startswith(words)


def test_nothing_is_believed_when_units_get_lost() -> None:
    verdict = said(observed("b", 0.3), [Period((1, 1), (2000, 1500))])
    assert verdict.finding is Finding.MISMATCH
    assert "nothing here can be believed" in verdict.text


def test_it_says_how_many_more_units_would_tell() -> None:
    verdict = said(observed("b", 0.06))
    assert verdict.finding is Finding.TOO_EARLY
    assert verdict.more_units is not None
    assert verdict.more_units > 0
    assert f"about {verdict.more_units:,} more units" in verdict.text
    assert verdict.detectable is not None
    assert verdict.detectable > 0.06
    assert f"One of {verdict.detectable:.2g} would have been found by now" in verdict.text


def test_with_more_arms_each_must_show_more() -> None:
    control, arm = observed("control", 0.0), observed("b", 0.1)
    (alone,) = verdicts(control, [arm], EVEN)
    beside = verdicts(control, [arm, *(observed(f"c{n}", 0.0) for n in range(8))], EVEN)[0]
    assert beside.score.high - beside.score.low > alone.score.high - alone.score.low
