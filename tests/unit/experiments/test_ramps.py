"""A thousand experiments whose arms are alike, ramped while the times change, and looked at all the
time: what is said of them goes by the verdict itself."""

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from serve_app.experiments.moments import Moments
from serve_app.experiments.verdict import ALPHA, ArmMoments, Finding, spent, verdicts

EXPERIMENTS = 1000
SHARES = (0.1, 0.2, 0.5)
STAGE = 2000
"""Units that come under each share."""
LOOKS = (400, 1000, STAGE)
Array = NDArray[np.float64]
SAID = {Finding.BETTER, Finding.WORSE, Finding.HARMFUL}


def moments(values: Array) -> Moments:
    """Of units with an observation each."""
    units, total, squares = len(values), float(values.sum()), float((values**2).sum())
    return Moments(units, units, total, units, squares, total)


def is_said(score: Array, errors: Array, in_b: NDArray[np.bool_], alpha: float) -> bool:
    a, b = (
        ArmMoments(name, moments(score[here]), moments(errors[here]))
        for name, here in (("a", ~in_b), ("b", in_b))
    )
    (verdict,) = verdicts(a, [b], [], alpha=alpha)
    return verdict.finding in SAID


def test_ramps_while_the_times_change_find_no_more_differences_than_promised() -> None:
    """More is liked and more fails as time goes on, whoever answers: units of all stages together
    would say that the arm which had more of the later ones is better, and worse."""
    dice = np.random.default_rng(20261125)
    found = pooled = 0
    for _ in range(EXPERIMENTS):
        shares = np.repeat(SHARES, STAGE)
        time = np.linspace(0, 1, len(shares))
        in_b = dice.random(len(shares)) < shares
        score = (dice.random(len(shares)) < 0.4 + 0.4 * time).astype(float)
        errors = (dice.random(len(shares)) < 0.02 + 0.08 * time).astype(float)
        found += any(
            is_said(score[part], errors[part], in_b[part], spent(stage + 1))
            for stage in range(len(SHARES))
            for part in (slice(stage * STAGE, stage * STAGE + look) for look in LOOKS)
        )
        pooled += is_said(score, errors, in_b, ALPHA)
    assert found / EXPERIMENTS <= ALPHA + 2 * sqrt(ALPHA * (1 - ALPHA) / EXPERIMENTS)
    assert pooled / EXPERIMENTS > 0.5, "so many would be said to differ, were all taken"


def test_all_that_is_spent_is_no_more_than_there_is() -> None:
    levels = [spent(weights) for weights in range(1, 2000)]
    assert levels == sorted(levels, reverse=True)
    assert 0.999 * ALPHA < sum(levels) < ALPHA
    assert spent(0) == levels[0]
