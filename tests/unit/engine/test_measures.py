from contextlib import ExitStack

import pytest

from serve_app.engine.measures import LEAST_TOKEN_S, Measures
from serve_app.routing.view import TYPICAL
from tests.unit.residency_bench import Clock, Witnessed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def measures(clock: Clock) -> Measures:
    return Measures(Witnessed(), turn_s=0.5, clock=clock)


def _stream(measures: Measures, clock: Clock, tokens: int, first_s: float, rest_s: float) -> None:
    with measures.follow(tokens) as running:
        measures.entered(running, streams=True)
        clock.now += first_s
        measures.began(running)
        clock.now += rest_s
        measures.ended(running, streams=True)


def test_before_anything_is_measured_costs_are_typical_and_a_seat_is_free(
    measures: Measures,
) -> None:
    costs = measures.costs()
    assert (costs.disk_s, costs.prompt_token_s) == (TYPICAL.disk_s, TYPICAL.prompt_token_s)
    assert (costs.seat_s, costs.hold_s) == (0.0, 0.0)


def test_loads_are_smoothed_from_the_first_one_on_and_passed_on(clock: Clock) -> None:
    witness = Witnessed()
    measures = Measures(witness, turn_s=0.5, clock=clock)
    measures.loaded(1.0, 0.2, 0.3)
    assert (measures.costs().stage_s, measures.costs().disk_s) == (1.0, 0.5)
    measures.loaded(0.0, 0.2, 0.3)
    assert measures.costs().stage_s == pytest.approx(0.8)
    assert measures.costs().load_s == pytest.approx(1.3)
    assert len(witness.loads) == 2


def test_a_token_costs_the_least_it_took_of_late(measures: Measures, clock: Clock) -> None:
    _stream(measures, clock, tokens=100, first_s=0.1, rest_s=1)
    assert measures.costs().prompt_token_s == pytest.approx(0.001)
    _stream(measures, clock, tokens=2, first_s=0.1, rest_s=1)
    assert measures.costs().prompt_token_s == pytest.approx(0.001, rel=0.05)
    clock.now += 600
    _stream(measures, clock, tokens=100, first_s=0.2, rest_s=1)
    assert measures.costs().prompt_token_s == pytest.approx(0.002), "what is old is forgotten"


def test_a_short_prompt_says_nothing_of_a_token(measures: Measures, clock: Clock) -> None:
    _stream(measures, clock, tokens=1, first_s=0.011, rest_s=1)
    assert measures.costs().prompt_token_s == TYPICAL.prompt_token_s


def test_prompts_that_are_computed_together_share_the_time(
    measures: Measures, clock: Clock
) -> None:
    with ExitStack() as stack:
        together = [stack.enter_context(measures.follow(20)) for _ in range(50)]
        for one in together:
            measures.entered(one, streams=True)
        clock.now += 0.1
        for one in together:
            measures.began(one)
    assert measures.costs().prompt_token_s == pytest.approx(0.1 / 1000)


def test_a_seat_takes_as_long_as_streams_last(measures: Measures, clock: Clock) -> None:
    _stream(measures, clock, tokens=1, first_s=0.1, rest_s=4.0)
    assert measures.costs().seat_s == pytest.approx(4.0)
    _stream(measures, clock, tokens=1, first_s=0.1, rest_s=9.0)
    assert measures.costs().seat_s == pytest.approx(5.0)


def test_without_turns_a_slot_is_held_for_as_long_as_a_seat(clock: Clock) -> None:
    measures = Measures(Witnessed(), turn_s=0, clock=clock)
    _stream(measures, clock, tokens=1, first_s=0.1, rest_s=4.0)
    assert measures.costs().hold_s == pytest.approx(4.0)


def test_a_slot_is_held_for_a_turn_at_most(measures: Measures, clock: Clock) -> None:
    _stream(measures, clock, tokens=1, first_s=0.1, rest_s=0.2)
    assert measures.costs().hold_s == pytest.approx(0.2)
    _stream(measures, clock, tokens=1, first_s=0.1, rest_s=60)
    assert measures.costs().hold_s == 0.5


def test_a_whole_answer_keeps_its_seat_until_it_is_there(measures: Measures, clock: Clock) -> None:
    with measures.follow(1000) as running:
        clock.now += 60
        measures.entered(running, streams=False)
        clock.now += 3.0
        measures.ended(running, streams=False)
    assert measures.costs().seat_s == pytest.approx(3.0), "what its adapter took is no seat"


def test_a_prompt_waits_until_its_stream_begins(measures: Measures, clock: Clock) -> None:
    with measures.follow(100) as one, measures.follow(30) as other:
        measures.entered(one, streams=True)
        clock.now += 60
        assert measures.waiting_tokens() == 130, "one of them waits for its adapter"
        measures.entered(other, streams=True)
        measures.began(one)
        assert measures.waiting_tokens() == 30
    assert measures.waiting_tokens() == 0


def test_a_prompt_that_is_not_streamed_waits_for_as_long_as_it_should_take(
    measures: Measures, clock: Clock
) -> None:
    with measures.follow(100) as one:
        measures.entered(one, streams=False)
        assert measures.waiting_tokens() == 100
        clock.now += 100 * TYPICAL.prompt_token_s
        assert measures.waiting_tokens() == 0


@pytest.mark.parametrize("pause_s", [1e5, 1e9])
def test_a_machine_may_run_and_a_replica_may_pause_for_years(
    measures: Measures, clock: Clock, pause_s: float
) -> None:
    clock.now += pause_s
    _stream(measures, clock, tokens=100, first_s=0.1, rest_s=1)
    clock.now += pause_s
    _stream(measures, clock, tokens=100, first_s=0.2, rest_s=1)
    assert measures.costs().prompt_token_s == pytest.approx(0.002)


def test_prompts_that_were_cached_or_reckoned_too_long_do_not_undo_what_is_believed(
    measures: Measures, clock: Clock
) -> None:
    _stream(measures, clock, tokens=100, first_s=0.1, rest_s=0)
    _stream(measures, clock, tokens=1_000_000, first_s=0.1, rest_s=0)
    assert measures.costs().prompt_token_s == pytest.approx(0.0005, rel=0.01)
    for _ in range(50):
        _stream(measures, clock, tokens=1_000_000, first_s=0.001, rest_s=0)
    assert measures.costs().prompt_token_s == LEAST_TOKEN_S
