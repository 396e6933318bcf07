"""The promises of the statistics, tried on simulated experiments that somebody looks at all the
time."""

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from serve_app.experiments.mismatch import ALPHA, Period, is_mismatch, p_value
from serve_app.experiments.moments import Moments
from serve_app.experiments.power import detectable, needed
from serve_app.experiments.sequential import BURN_IN, difference, effective, radius

EXPERIMENTS, UNITS, LOOKS = 1000, 2000, 40
Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, tuple[int, int]], Array]
SCORES: dict[str, Draw] = {
    "even": lambda dice, shape: dice.binomial(1, 0.5, shape).astype(float),
    "rare": lambda dice, shape: dice.binomial(1, 0.05, shape).astype(float),
    "skewed": lambda dice, shape: dice.lognormal(0, 1, shape),
}


def crossed(
    a: Array,
    b: Array,
    alpha: float = 0.05,
    counts: Array | None = None,
) -> NDArray[np.bool_]:
    """Of experiments (rows) with a unit's sum a column: which said, at any look, that arms differ.

    The interval of ``difference``, in arrays; that it is the same is another test.
    """
    found = np.zeros(len(a), dtype=bool)
    for units in np.unique(np.geomspace(BURN_IN, a.shape[1], LOOKS).astype(int)):
        estimates, variances = [], []
        for column, side in ((0, a), (1, b)):
            s = side[:, :units]
            n = np.ones_like(s) if counts is None else counts[column::2, :units][: len(s)]
            mean = s.sum(1) / n.sum(1)
            residuals = ((s - mean[:, None] * n) ** 2).sum(1)
            variances.append(residuals / (units - 1) / n.mean(1) ** 2 / units)
            estimates.append(mean)
        t = effective(units, units)
        half = np.sqrt((variances[0] + variances[1]) * t) * radius(t, alpha)
        found |= np.abs(estimates[0] - estimates[1]) > half
    return found


@pytest.mark.parametrize("kind", SCORES)
def test_of_arms_that_are_the_same_few_are_ever_said_to_differ(kind: str) -> None:
    dice = np.random.default_rng(20260131)
    a, b = (SCORES[kind](dice, (EXPERIMENTS, UNITS)) for _ in range(2))
    false = crossed(a, b).mean()
    assert false <= 0.05 + 2 * sqrt(0.05 * 0.95 / EXPERIMENTS)


def test_users_whose_requests_are_alike_do_not_fool_it_as_they_fool_a_count_of_requests() -> None:
    """Every user has several requests, which all go as the user goes."""
    dice = np.random.default_rng(7)
    counts = dice.integers(1, 15, (2 * EXPERIMENTS, UNITS)).astype(float)
    likes = dice.beta(0.5, 0.5, (2 * EXPERIMENTS, UNITS))
    sums = dice.binomial(counts.astype(int), likes).astype(float)
    false = crossed(sums[0::2], sums[1::2], counts=counts).mean()
    assert false <= 0.05 + 2 * sqrt(0.05 * 0.95 / EXPERIMENTS)
    naive = 0
    for row in range(200):
        one, other = (
            requests(counts[place, :500].sum(), sums[place, :500].sum())
            for place in (2 * row, 2 * row + 1)
        )
        naive += difference(one, other).is_told
    assert naive / 200 > 0.06, "this many would be said to differ, were requests the units"


def requests(number: float, ones: float) -> Moments:
    """As if every request were a unit."""
    return Moments(int(number), number, ones, number, ones, ones)


@pytest.mark.parametrize("kind", SCORES)
def test_the_interval_in_arrays_is_the_one_that_is_told(kind: str) -> None:
    dice = np.random.default_rng(1)
    a, b = (SCORES[kind](dice, (1, 300))[0] for _ in range(2))
    one, other = (Moments.of((1, float(s)) for s in side) for side in (a, b))
    t = effective(300, 300)
    half = sqrt((a.var(ddof=1) + b.var(ddof=1)) / 300 * t) * radius(t, 0.05)
    told = difference(one, other)
    assert told.estimate == pytest.approx(a.mean() - b.mean())
    assert (told.high - told.low) / 2 == pytest.approx(half)


def test_the_p_value_is_the_level_at_which_zero_is_just_outside() -> None:
    dice = np.random.default_rng(3)
    one, other = (
        Moments.of((1, float(s)) for s in dice.normal(mean, 1, 400)) for mean in (0.0, 0.3)
    )
    told = difference(one, other, alpha=0.05)
    assert told.is_told == (told.p < 0.05)


def test_a_difference_beyond_all_doubt_has_no_chance_of_being_none() -> None:
    still = Moments.of((1, 1.0) for _ in range(BURN_IN))
    nearly = Moments(BURN_IN, n=BURN_IN, s=1e-155, nn=BURN_IN, ss=1e-310)
    assert difference(still, nearly).p == 0


def test_an_effect_that_is_said_to_be_detectable_is_found_as_often_as_said() -> None:
    dice = np.random.default_rng(11)
    noise = [dice.normal(0, 1, (EXPERIMENTS, UNITS)) for _ in range(2)]
    one, other = (Moments.of((1, float(s)) for s in side[0]) for side in noise)
    effect = detectable(one, other, power=0.8)
    assert effect is not None
    found = crossed(noise[0] + effect, noise[1]).mean()
    assert 0.78 <= found <= 0.92
    wanted = needed(effect, one, other, power=0.8)
    assert wanted == pytest.approx(2 * UNITS, rel=0.02)


def test_before_there_are_some_units_nothing_is_said() -> None:
    few = Moments.of([(1, 1.0)] * (BURN_IN - 1))
    many = Moments.of([(1, 0.0)] * 500)
    told = difference(few, many)
    assert not told.is_told
    assert told.p == 1.0
    assert detectable(few, many) is None
    assert needed(0.1, few, many) is None


def test_moments_merge_and_of_one_observation_each_are_plain() -> None:
    dice = np.random.default_rng(5)
    values = dice.normal(3, 2, 100)
    whole = Moments.of((1, float(v)) for v in values)
    parts = Moments.of((1, float(v)) for v in values[:30]) + Moments.of(
        (1, float(v)) for v in values[30:]
    )
    assert whole.mean == pytest.approx(parts.mean)
    assert whole.variance == pytest.approx(values.var(ddof=1) / 100)
    assert parts.variance == pytest.approx(whole.variance)


def test_a_mismatch_is_found_and_hardly_ever_where_there_is_none() -> None:
    dice = np.random.default_rng(2)
    false = 0
    for _ in range(1000):
        counts = np.cumsum(dice.multinomial(100, (0.9, 0.1), size=50), axis=0)
        false += any(is_mismatch([Period((9, 1), tuple(map(int, row)))]) for row in counts)
    assert false <= 5, f"at most one in {1 / ALPHA:.0f} is promised"
    lost = dice.multinomial(20_000, (0.9 / 0.98, 0.08 / 0.98))  # a fifth of one arm is lost
    assert is_mismatch([Period((9, 1), tuple(map(int, lost)))])


def test_after_a_change_of_weights_units_are_counted_anew() -> None:
    fair = [Period((9, 1), (9000, 1000)), Period((1, 1), (5000, 5000))]
    assert p_value(fair) == 1.0
    assert is_mismatch([Period((5, 1), (14_000, 6000))]), "as one period they would not fit"
    assert is_mismatch([Period((1, 0), (10, 1))]), "an arm of no weight has a unit"
