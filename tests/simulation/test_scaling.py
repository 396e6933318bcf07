"""A simulated fleet that follows its load, through a day of some minutes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean

import pytest

from serve_app.routing.scaling import Bounds
from serve_app.simulator import workload
from serve_app.simulator.baselines import OURS
from serve_app.simulator.fleet import Policy, Setup, Twin
from serve_app.simulator.outcome import outcome
from serve_app.simulator.scaling import (
    Patience,
    Scaled,
    Scaling,
    against_fixed,
    simulate_scaled,
)
from serve_app.simulator.workload import Traffic

DAY = Traffic(rate=10.0, duration_s=480.0, adapters=60)
QUICK = Scaling(
    Bounds(2, 5),
    start_s=10.0,
    upscale_delay_s=2.0,
    downscale_delay_s=30.0,
    look_back_s=8.0,
    record_s=1.0,
    told_s=2.0,
)
MARGIN = 0.06
"""Goodput that may be lost in a day of eight minutes, in which every rise of the load is steep: a
new replica is there when the load has grown by a tenth. In a day of an hour 0.005 to 0.007 were."""


def test_it_takes_fewer_replica_hours_for_nearly_the_same_goodput() -> None:
    arrivals = list(workload.daily(DAY, Random(1)))
    found = against_fixed(Setup(replicas=2), QUICK, arrivals, OURS, 1, warm_up_s=30.0)
    assert found.scaled.within > found.fixed.within - MARGIN, str(found)
    assert found.scaled_hours < 0.8 * found.fixed_hours, str(found)


@pytest.fixture(scope="module")
def scaled() -> Scaled:
    half = replace(DAY, duration_s=240.0)
    arrivals = list(workload.daily(half, Random(3)))
    return simulate_scaled(Setup(replicas=2), QUICK, arrivals, OURS, 3)


def test_replicas_come_in_the_morning_and_leave_in_the_evening(scaled: Scaled) -> None:
    numbers = [number for _, number in scaled.sizes]
    assert all(number in QUICK.bounds for number in numbers)
    assert all(abs(after - before) == 1 for before, after in pairwise(numbers))
    assert max(numbers) > numbers[-1]


def test_no_request_is_lost_when_a_replica_leaves(scaled: Scaled) -> None:
    left_s = [at_s for (_, n), (at_s, m) in pairwise(scaled.sizes) if m < n]
    assert left_s
    for at_s in left_s:
        assert any(
            one.arrival.at_s < at_s < one.done_s for one in scaled.trail.requests if one.done_s
        )
    assert all(one.done_s is not None or one.shed for one in scaled.trail.requests)
    assert not any(one.lost for one in scaled.trail.requests)
    assert scaled.trail.outstanding == 0


def test_new_replicas_load_what_they_are_home_to_and_goodput_is_no_worse_for_it() -> None:
    """Two replicas short of slots, and two more after ten seconds."""

    def run(policy: Policy, seed: int) -> tuple[float, int]:
        traffic = Traffic(rate=12.0, duration_s=60.0, adapters=60)
        twin = Twin(Setup(replicas=2), policy, seed)
        for at_s in (10.0, 11.0):
            twin.events.at(at_s, twin.add)
        trail = twin.run(list(workload.steady(traffic, Random(seed))))
        return outcome(trail, 25.0).within, trail.loads["r2"] + trail.loads["r3"]

    left_alone = replace(OURS, tuning=replace(OURS.tuning, new_replica_s=0.0))
    with_it, without = ([run(policy, seed) for seed in (1, 2, 3)] for policy in (OURS, left_alone))
    assert sum(loads for _, loads in with_it) > sum(loads for _, loads in without)
    assert fmean(share for share, _ in with_it) > fmean(share for share, _ in without) - 0.005


PATIENCE: dict[str, tuple[Callable[[float], int], float, int]] = {
    "more, for long enough": (lambda _: 4, 10.0, 4),
    "more, but not yet": (lambda _: 4, 9.0, 3),
    "fewer, for long enough": (lambda _: 2, 30.0, 2),
    "fewer, but not yet": (lambda _: 2, 29.0, 3),
    "more, with a doubt in between": (lambda at_s: 3 if at_s == 5 else 4, 12.0, 3),
    "fewer, with more in between": (lambda at_s: 4 if at_s == 5 else 2, 32.0, 3),
    "what there is": (lambda _: 3, 99.0, 3),
}


@pytest.mark.parametrize(("wanted", "until_s", "expected"), PATIENCE.values(), ids=PATIENCE)
def test_a_wish_is_granted_of(
    wanted: Callable[[float], int], until_s: float, expected: int
) -> None:
    patience, granted = Patience(up_s=10.0, down_s=30.0), 3
    for at_s in range(int(until_s) + 1):
        granted = patience.grant(wanted(at_s), granted, float(at_s))
    assert granted == expected
