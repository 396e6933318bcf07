"""Turns inside vLLM's own scheduler."""

import inspect
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("vllm.v1.core.sched.scheduler")

from vllm.v1.core.sched.interface import PauseState
from vllm.v1.core.sched.scheduler import Scheduler
from vllm.v1.request import RequestStatus

from serve_app.engine.vllm_scheduler import AsyncTurnScheduler, TurnScheduler
from tests.unit.scheduler_bench import BLOCK, A, B, C, Engine, started


@pytest.fixture(params=[False, True], ids=["scheduled in step", "scheduled a step ahead"])
def ahead(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture
def engine(tmp_path: Path, ahead: bool) -> Engine:
    return started(tmp_path, ahead)


def test_the_class_is_the_one_vllm_would_have_chosen(engine: Engine, ahead: bool) -> None:
    assert type(engine.scheduler) is (AsyncTurnScheduler if ahead else TurnScheduler)


def test_a_short_request_is_answered_while_six_long_ones_are_paused(engine: Engine) -> None:
    for n in range(6):
        engine.ask(f"a{n}", A, tokens=500)
    engine.step(20, each_s=0.1)
    engine.ask("b", B, tokens=4)
    assert engine.step() == {"b"}
    said = [engine.tokens(f"a{n}") for n in range(6)]
    engine.step(5)
    assert engine.requests["b"].is_finished()
    assert engine.step() == {f"a{n}" for n in range(6)}
    engine.step(2)
    assert all(engine.tokens(f"a{n}") > said[n] for n in range(6))
    assert not any(request.num_preemptions for request in engine.requests.values())


def test_paused_requests_end_whole(engine: Engine) -> None:
    engine.ask("a", A, tokens=40)
    engine.ask("b", B, tokens=40)
    for _ in range(100):
        engine.step(each_s=0.1)
    assert (engine.tokens("a"), engine.tokens("b")) == (40, 40)
    assert not engine.scheduler.has_unfinished_requests()


def test_turns_go_round_while_both_are_busy(engine: Engine) -> None:
    engine.ask("a", A, tokens=900)
    engine.ask("b", B, tokens=900)
    batches = [engine.step(each_s=0.1) for _ in range(60)]
    assert all(len(batch) <= 1 for batch in batches)
    assert abs(engine.tokens("a") - engine.tokens("b")) <= 6
    assert engine.tokens("a") + engine.tokens("b") >= 45


def test_an_adapter_keeps_its_slot_for_a_turn(engine: Engine) -> None:
    engine.ask("a", A, tokens=900)
    engine.step()
    engine.ask("b", B, tokens=900)
    assert engine.step(each_s=0.4) == {"a"}
    assert engine.step(each_s=0.2) == {"b"}


def test_new_requests_of_a_paused_adapter_wait_with_it(engine: Engine) -> None:
    engine.ask("a0", A, tokens=900)
    engine.step(10, each_s=0.1)
    engine.ask("b0", B, tokens=900)
    engine.ask("a1", A, tokens=900)
    engine.ask("b1", B, tokens=900)
    assert engine.step() == {"b0", "b1"}
    assert list(engine.scheduler.waiting) == [engine.requests["a1"]]
    assert engine.scheduler.get_request_counts() == (3, 1)


def test_the_base_runs_in_everybodys_turn_and_is_never_paused(engine: Engine) -> None:
    engine.ask("base", None, tokens=200)
    engine.ask("a", A, tokens=900)
    engine.ask("b", B, tokens=900)
    assert all("base" in engine.step(each_s=0.1) for _ in range(30))
    assert engine.step() == {"base", "a"} or engine.step() == {"base", "b"}


def test_nothing_changes_while_there_are_slots_for_all(tmp_path: Path, ahead: bool) -> None:
    engine = started(tmp_path, ahead, slots=2)
    for n in range(4):
        engine.ask(f"r{n}", (A, B)[n % 2], tokens=900)
    assert all(len(engine.step(each_s=1.0)) == 4 for _ in range(20))


def test_a_request_aborted_while_paused_is_gone_with_its_memory(engine: Engine) -> None:
    engine.ask("a", A, tokens=900)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=900)
    assert engine.step(2) == {"b"}
    engine.scheduler.finish_requests(["a", "b"], RequestStatus.FINISHED_ABORTED)
    engine.step(2)
    assert not engine.scheduler.requests
    assert engine.scheduler.get_kv_cache_usage() == 0.0
    engine.ask("c", C, tokens=4)
    assert engine.step() == {"c"}


def test_the_turn_of_an_aborted_adapter_is_the_next_ones(engine: Engine) -> None:
    engine.ask("a", A, tokens=900)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=900)
    assert engine.step() == {"b"}
    engine.scheduler.finish_requests(["b"], RequestStatus.FINISHED_ABORTED)
    engine.step()
    assert engine.step() == {"a"}


def test_paused_requests_are_preempted_when_the_memory_is_theirs(
    tmp_path: Path, ahead: bool
) -> None:
    engine = started(tmp_path, ahead, blocks=33)
    for n in range(4):
        engine.ask(f"a{n}", A, tokens=100, prompt=8 * BLOCK - 60)
    engine.step(40, each_s=0.1)
    engine.ask("b", B, tokens=4, prompt=14 * BLOCK)
    engine.step(8)
    assert engine.requests["b"].is_finished()
    preempted = [n for n in range(4) if engine.requests[f"a{n}"].num_preemptions]
    assert preempted
    assert 0 not in preempted, "the oldest is spared"
    engine.step(400, each_s=0.1)
    assert all(engine.tokens(f"a{n}") == 100 for n in range(4))


def test_paused_requests_are_preempted_before_those_that_run(tmp_path: Path, ahead: bool) -> None:
    engine = started(tmp_path, ahead, blocks=13)
    engine.ask("a", A, tokens=120, prompt=4 * BLOCK)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=100, prompt=4 * BLOCK)
    engine.step(90)
    assert engine.requests["b"].num_preemptions == 0
    assert engine.requests["a"].num_preemptions == 1
    engine.step(200, each_s=0.1)
    assert (engine.tokens("a"), engine.tokens("b")) == (120, 100)


def test_paused_requests_give_up_their_seats(tmp_path: Path, ahead: bool) -> None:
    engine = started(tmp_path, ahead, seats=3)
    for n in range(5):
        engine.ask(f"a{n}", A, tokens=100)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=4)
    engine.step(7)
    assert engine.requests["b"].is_finished()
    assert sum(engine.requests[f"a{n}"].num_preemptions for n in range(5)) == 1
    engine.step(400, each_s=0.1)
    assert all(engine.tokens(f"a{n}") == 100 for n in range(5))


def test_the_base_is_admitted_past_paused_requests_that_fill_the_seats(
    tmp_path: Path, ahead: bool
) -> None:
    engine = started(tmp_path, ahead, seats=3)
    for n in range(2):
        engine.ask(f"a{n}", A, tokens=500)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=500)
    engine.step()
    engine.ask("base", None, tokens=4)
    engine.step(7)
    assert engine.requests["base"].is_finished()


def test_a_scheduler_told_to_drain_finishes_what_runs_and_admits_nobody(engine: Engine) -> None:
    engine.ask("a", A, tokens=30)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=30)
    engine.step(3)
    engine.ask("c", C, tokens=30)
    engine.scheduler.set_pause_state(PauseState.PAUSED_NEW)
    engine.step(100, each_s=0.1)
    assert (engine.tokens("a"), engine.tokens("b"), engine.tokens("c")) == (30, 30, 0)
    engine.scheduler.set_pause_state(PauseState.UNPAUSED)
    engine.step(40)
    assert engine.tokens("c") == 30


def test_a_scheduler_told_to_stop_preempts_nobody(engine: Engine) -> None:
    engine.ask("a", A, tokens=900)
    engine.step(10, each_s=0.1)
    engine.ask("b", B, tokens=900)
    engine.step(3)
    engine.scheduler.set_pause_state(PauseState.PAUSED_ALL)
    assert engine.step(20, each_s=0.1) == set()
    assert not any(request.num_preemptions for request in engine.requests.values())


def test_waiting_requests_keep_their_order_through_turns_that_are_not_theirs(
    tmp_path: Path, ahead: bool
) -> None:
    engine = started(tmp_path, ahead, seats=1)
    engine.ask("a0", A, tokens=900)
    engine.step(10, each_s=0.1)
    names = ["b0", "a1", "base", "a2", "b1", "c0", "a3"]
    for name in names:
        engine.ask(name, None if name == "base" else name[0], tokens=900)
    engine.step(12, each_s=0.1)
    left = [request.request_id for request in engine.scheduler.waiting]
    assert [name for name in left if name in names] == [name for name in names if name in left]
    assert len(left) >= 6


@settings(max_examples=40, deadline=None)
@given(data=st.data(), ahead=st.booleans(), slots=st.integers(1, 2), seats=st.integers(2, 5))
def test_in_any_mix_everybody_gets_exactly_what_they_asked_for(
    data: st.DataObject, ahead: bool, slots: int, seats: int
) -> None:
    """Little memory, few seats, aborts: the batch has ``slots`` adapters at most, all end."""
    with TemporaryDirectory() as folder:
        engine = started(Path(folder), ahead, slots, seats, blocks=14)
    asked: dict[str, int] = {}
    for n in range(data.draw(st.integers(4, 16), "requests")):
        asked[f"r{n}"] = data.draw(st.integers(1, 60), "tokens")
        adapter = data.draw(st.sampled_from([A, B, C, None]), "adapter")
        engine.ask(f"r{n}", adapter, asked[f"r{n}"], data.draw(st.integers(1, 100), "prompt"))
        engine.step(data.draw(st.integers(0, 12), "steps"), each_s=0.1)
        if data.draw(st.integers(0, 7), "abort") == 0:
            name = data.draw(st.sampled_from(sorted(asked)), "who")
            engine.scheduler.finish_requests([name], RequestStatus.FINISHED_ABORTED)
            asked.pop(name)
    engine.step(2500, each_s=0.1)
    assert {name: engine.tokens(name) for name in asked} == asked
    assert not engine.scheduler.requests
    assert engine.scheduler.get_kv_cache_usage() == 0.0


STATE = {
    "running": list,
    "max_num_scheduled_tokens": int,
    "requires_kv_delivery": bool,
    "current_step": int,
    "pause_state": PauseState,
}


def test_vllm_has_what_turns_rest_on(engine: Engine) -> None:
    """An upgrade of vLLM that moves any of this must fail here, and not in an engine."""
    scheduler, request = engine.scheduler, engine.ask("a", A, tokens=4)
    for name, kind in STATE.items():
        assert isinstance(getattr(scheduler, name), kind), name
    for queue in (scheduler.waiting, scheduler.kv_holding_waiting):
        assert {"remove_requests", "add_request"} <= set(dir(queue))
    assert _parameters(Scheduler.schedule) == ["self", "throttle_prefills"]
    assert _parameters(scheduler._preempt_request) == ["request", "timestamp", "drop_stale_output"]
    assert scheduler._request_remaining_blocks(request) == 1
    assert scheduler.kv_cache_manager.block_pool.get_num_free_blocks() > 0
    assert not scheduler._is_blocked_waiting_status(request.status)
    assert (request.next_decode_eligible_step, request.num_in_flight_tokens) == (0, 0)


def _parameters(method: Any) -> list[str]:
    return list(inspect.signature(method).parameters)
