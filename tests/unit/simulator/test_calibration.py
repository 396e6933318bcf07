from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.simulator.calibration import Decoding, Fit, Measured, Prompt, Use, Where, fit
from serve_app.simulator.machine import Machine
from serve_app.simulator.reality import Answered, Goal, error, facts, simulated, workload
from serve_app.simulator.request import Arrival
from serve_app.simulator.workload import Traffic

TRUE = Machine(
    step_s=0.010,
    decode_s=0.0003,
    prefill_s=0.0001,
    adapter_s=0.0005,
    stage_s=0.8,
    disk_s=0.3,
    swap_s=0.05,
)
OVERHEAD_S = 0.015
STREAMS, PROMPTS = (1, 4, 16, 32), (16, 128, 512, 1500)


def measured(true: Machine, overhead_s: float, noise: float = 0.0, seed: int = 1) -> Measured:
    """What a replica like ``true`` would show, each time off by up to ``noise`` of itself."""
    dice = Random(seed)

    def seen(seconds: float) -> float:
        return seconds * dice.uniform(1 - noise, 1 + noise)

    def step_s(streams: int, adapters: int) -> float:
        return true.step_s + streams * true.decode_s + adapters * true.adapter_s

    points = [(n, 1) for n in STREAMS] + [(16, 4), (32, 8)]
    first_s = overhead_s + true.step_s + true.adapter_s
    waits = {
        Where.SLOT: 0.0,
        Where.HELD: true.swap_s,
        Where.STAGED: true.swap_s + true.disk_s,
        Where.AWAY: true.swap_s + true.disk_s + true.stage_s,
    }
    return Measured(
        [Decoding(n, k, seen(step_s(n, k))) for n, k in points for _ in range(n)],
        [Prompt(n, seen(first_s + n * true.prefill_s)) for n in PROMPTS for _ in range(5)],
        [Use(where, seen(first_s + wait_s)) for where, wait_s in waits.items() for _ in range(5)],
    )


def test_exact_measurements_give_the_machine_back() -> None:
    found = fit(measured(TRUE, OVERHEAD_S), Machine())
    assert found.overhead_s == pytest.approx(OVERHEAD_S)
    for name in ("step_s", "decode_s", "prefill_s", "adapter_s", "stage_s", "disk_s", "swap_s"):
        assert getattr(found.machine, name) == pytest.approx(getattr(TRUE, name)), name


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_a_twentieth_is_mostly_evened_out(seed: int) -> None:
    found = fit(measured(TRUE, OVERHEAD_S, noise=0.05, seed=seed), Machine()).machine
    assert found.step_s == pytest.approx(TRUE.step_s, rel=0.1)
    assert found.decode_s == pytest.approx(TRUE.decode_s, rel=0.2)
    assert found.prefill_s == pytest.approx(TRUE.prefill_s, rel=0.1)
    assert found.disk_s == pytest.approx(TRUE.disk_s, rel=0.1)
    assert found.stage_s == pytest.approx(TRUE.stage_s, rel=0.15)


@settings(deadline=None)
@given(
    noise=st.floats(0, 0.9),
    seed=st.integers(0, 1000),
    step_s=st.floats(0.001, 0.1),
    decode_s=st.floats(0, 0.001),
    swap_s=st.floats(0, 0.1),
)
def test_however_noisy_nothing_takes_negative_time_or_it_is_to_be_measured_again(
    noise: float, seed: int, step_s: float, decode_s: float, swap_s: float
) -> None:
    true = Machine(step_s=step_s, decode_s=decode_s, swap_s=swap_s)
    seen = measured(true, OVERHEAD_S, noise, seed)
    try:
        found = fit(seen, Machine())
    except ConfigError:
        assert noise, "without noise there is nothing to measure again"
        return
    machine = found.machine
    times = (machine.decode_s, machine.adapter_s, machine.prefill_s, machine.swap_s)
    assert min(*times, machine.disk_s, machine.stage_s, found.overhead_s) >= 0
    assert machine.step_s > 0


def test_limits_are_those_that_are_known() -> None:
    known = Machine(max_num_seqs=3, max_loras=1, max_cpu_loras=2, kv_tokens=500, turn_s=0.25)
    found = fit(measured(TRUE, OVERHEAD_S), known).machine
    assert (found.max_num_seqs, found.max_loras, found.max_cpu_loras) == (3, 1, 2)
    assert (found.kv_tokens, found.turn_s) == (500, 0.25)


def test_a_prompt_longer_than_a_step_takes_several() -> None:
    known = Machine(max_num_batched_tokens=512)
    prompts = [
        Prompt(n, OVERHEAD_S + -(-n // 512) * (TRUE.step_s + TRUE.adapter_s) + n * TRUE.prefill_s)
        for n in PROMPTS
    ]
    found = fit(Measured(measured(TRUE, OVERHEAD_S).decoding, prompts, ()), known)
    assert found.machine.prefill_s == pytest.approx(TRUE.prefill_s)
    assert found.overhead_s == pytest.approx(OVERHEAD_S)


@pytest.mark.parametrize(
    ("seen", "stage_s", "disk_s", "swap_s"),
    [
        ((Where.SLOT, Where.HELD, Where.STAGED), 0.0, 0.3, 0.05),
        ((Where.SLOT, Where.HELD, Where.AWAY), 0.0, 1.1, 0.05),
        ((Where.SLOT, Where.STAGED, Where.AWAY), 0.8, 0.35, 0.0),
    ],
)
def test_what_was_not_seen_is_part_of_what_was(
    seen: Sequence[Where], stage_s: float, disk_s: float, swap_s: float
) -> None:
    whole = measured(TRUE, OVERHEAD_S)
    uses = [use for use in whole.uses if use.where in seen]
    found = fit(Measured(whole.decoding, whole.prompts, uses), Machine()).machine
    assert (found.stage_s, found.disk_s, found.swap_s) == pytest.approx((stage_s, disk_s, swap_s))


def test_without_any_load_what_is_known_of_loads_stays() -> None:
    whole = measured(TRUE, OVERHEAD_S)
    found = fit(Measured(whole.decoding, whole.prompts, ()), Machine(disk_s=7.0, stage_s=8.0))
    assert (found.machine.disk_s, found.machine.stage_s) == (7.0, 8.0)


def test_one_number_of_streams_or_one_length_of_prompts_is_not_enough() -> None:
    whole = measured(TRUE, OVERHEAD_S)
    with pytest.raises(ConfigError, match="two numbers of streams"):
        fit(Measured(whole.decoding[:1], whole.prompts, ()), Machine())
    with pytest.raises(ConfigError, match="two lengths"):
        fit(Measured(whole.decoding, whole.prompts[:5], ()), Machine())


TRAFFIC = Traffic(
    rate=5.0, duration_s=20.0, adapters=6, base_share=0.0, prompt=60, output=30, spread=0.5
)
GOAL = Goal(first_token_s=1.0, per_token_s=0.05)


def test_the_twin_of_a_fitted_machine_behaves_as_that_of_the_true_one() -> None:
    arrivals = workload(TRAFFIC, 1, longest=2000)
    found = fit(measured(TRUE, OVERHEAD_S, noise=0.02), TRUE)
    mine = facts(simulated(found, arrivals, 1), 5.0, 20.0, GOAL)
    real = facts(simulated(Fit(TRUE, OVERHEAD_S), arrivals, 1), 5.0, 20.0, GOAL)
    assert mine.first_p50_s == pytest.approx(real.first_p50_s, rel=0.1)
    assert mine.tokens_per_s == pytest.approx(real.tokens_per_s, rel=0.05)


def test_no_request_of_a_workload_is_longer_than_the_model_takes() -> None:
    arrivals = workload(TRAFFIC, 1, longest=100)
    assert arrivals
    assert max(one.prompt + one.output for one in arrivals) <= 100


def test_facts_count_what_came_after_the_warm_up() -> None:
    def one(at_s: float, first_s: float | None, each_s: float, cold: bool = False) -> Answered:
        done_s = None if first_s is None else at_s + first_s + 9 * each_s
        first = None if first_s is None else at_s + first_s
        return Answered(Arrival(at_s, 0, 5, 10), first, done_s, cold)

    answers = [
        one(0.0, 9.0, 0.01, cold=True),  # warms up
        one(5.0, 0.2, 0.01),
        one(6.0, 0.4, 0.01, cold=True),
        one(7.0, 2.0, 0.01),  # late
        one(8.0, 0.2, 0.09),  # slow
        one(9.0, None, 0.0),  # refused
    ]
    found = facts(answers, 5.0, 10.0, GOAL)
    assert found.first_p50_s == pytest.approx(0.4)
    assert found.first_p99_s == pytest.approx(2.0)
    assert found.tokens_per_s == pytest.approx(40 / 5)
    assert found.cold == pytest.approx(200)
    assert found.goodput == pytest.approx(2 / 5)
    assert found.refused == pytest.approx(0.2)


def test_an_error_is_a_share_of_what_was_measured() -> None:
    assert error(2.0, 2.5) == pytest.approx(0.25)
    assert error(2.0, 1.5) == pytest.approx(-0.25)
    assert error(0.0, 1.0) is None
