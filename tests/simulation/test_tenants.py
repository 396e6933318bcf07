"""Tenants on a full fleet: what one sends does not keep others waiting, nor cost the fleet work."""

from dataclasses import replace

import pytest

from serve_app.routing.policy import Tuning
from serve_app.simulator.baselines import OURS
from serve_app.simulator.fleet import Setup, Trail, simulate
from serve_app.simulator.outcome import quantile
from serve_app.simulator.tenants import Customer, jain, standing, together
from serve_app.simulator.workload import Traffic

POLICY = replace(OURS, tuning=Tuning(shed_above_s=2.0))
SETTLED_S = 10.0
TWO = Setup(replicas=2)


def asking(number: int, rate: float, **more: int) -> Customer:
    """A tenant with four adapters of its own."""
    shape = {"adapters": 4} | more
    return Customer(number, Traffic(rate=rate, duration_s=40.0, base_share=0.0, **shape))


def run(setup: Setup, *customers: Customer, seed: int = 1) -> Trail:
    return simulate(setup, together(customers, seed), POLICY, seed)


def p99_s(setup: Setup, *customers: Customer) -> float:
    """Of the first customer's seconds to a first token, over several seeds."""
    number, firsts = customers[0].number, []
    for seed in range(1, 9):
        for one in run(setup, *customers, seed=seed).requests:
            if one.arrival.tenant == number and one.arrival.at_s >= SETTLED_S:
                assert not one.shed
                firsts.append(one.first_token_s)
    return quantile(sorted(first for first in firsts if first is not None), 0.99)


QUIET, NOISY = asking(1, 4.0), asking(2, 80.0)
"""A replica answers about ten a second: of two, the quiet one's share is ten."""


PAIRS = {
    "answers of the usual length": (QUIET, NOISY),
    "a quiet one that asks more": (asking(1, 6.0), NOISY),
    "long answers": (asking(1, 2.0, output=400), asking(2, 40.0, output=400)),
    "short answers beside long ones": (QUIET, asking(2, 40.0, output=600)),
}


@pytest.mark.parametrize("gateways", [1, 2])
@pytest.mark.parametrize(("quiet", "noisy"), PAIRS.values(), ids=PAIRS)
def test_a_tenant_at_ten_times_its_share_leaves_another_its_time_to_first_token(
    quiet: Customer, noisy: Customer, gateways: int
) -> None:
    setup = replace(TWO, gateways=gateways)
    assert p99_s(setup, quiet, noisy) <= 1.5 * p99_s(setup, quiet)


@pytest.mark.parametrize("gateways", [1, 2])
def test_prompts_of_2000_tokens_cost_another_tenant_a_few_steps_and_no_more(gateways: int) -> None:
    """A step that computes 2048 tokens takes 0.2 s, and whoever comes meanwhile waits for it."""
    setup = replace(TWO, gateways=gateways)
    noisy = asking(2, 40.0, prompt=2000)
    assert p99_s(setup, QUIET, noisy) <= p99_s(setup, QUIET) + 4 * 0.22


def test_without_turns_it_would_not() -> None:
    first_come = standing(run(replace(TWO, turns=False), QUIET, NOISY), 1, SETTLED_S)
    assert first_come.shed > 0.5
    assert first_come.first_p99_s > 2.0


@pytest.mark.parametrize("gateways", [1, 2])
def test_backlogged_tenants_whose_requests_are_unlike_get_the_same_tokens(gateways: int) -> None:
    sizes = [{}, {"prompt": 30, "output": 15}, {"prompt": 600, "output": 200}, {}]
    rates = (60.0, 120.0, 25.0, 60.0)
    everybody = [
        asking(n, rate, **size) for n, (rate, size) in enumerate(zip(rates, sizes, strict=True))
    ]
    trail = run(replace(TWO, gateways=gateways), *everybody)
    assert jain(standing(trail, one.number, SETTLED_S).tokens for one in everybody) >= 0.95


def test_a_tenant_of_three_times_the_weight_gets_about_three_times_the_tokens() -> None:
    setup = replace(TWO, weights={2: 3.0})
    trail = run(setup, asking(1, 60.0), asking(2, 60.0))
    light, heavy = (standing(trail, number, SETTLED_S).tokens for number in (1, 2))
    assert heavy / light == pytest.approx(3, rel=0.2)


@pytest.mark.parametrize(("rate", "adapters"), [(12.0, 4), (20.0, 16), (20.0, 40), (40.0, 16)])
def test_a_tenant_alone_loses_next_to_nothing_by_turns(rate: float, adapters: int) -> None:
    def tokens(setup: Setup) -> int:
        alone = asking(1, rate, adapters=adapters)
        return sum(
            standing(run(setup, alone, seed=seed), 1, SETTLED_S).tokens for seed in range(1, 5)
        )

    assert tokens(TWO) >= 0.95 * tokens(replace(TWO, turns=False))


def test_everybody_is_answered_or_refused_and_nobody_is_left_in_the_queue() -> None:
    trail = run(replace(TWO, gateways=2), QUIET, NOISY)
    assert trail.outstanding == 0
    assert all(one.shed or one.done_s is not None for one in trail.requests)
