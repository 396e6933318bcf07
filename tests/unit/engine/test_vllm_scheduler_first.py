"""Requests of tenants below their share, inside vLLM's own scheduler."""

from pathlib import Path

import pytest

pytest.importorskip("vllm.v1.core.sched.scheduler")

from tests.unit.scheduler_bench import A, B, Engine, started

LONG = 1000
"""Of the 1,024 tokens a step may compute."""


@pytest.fixture(params=[False, True], ids=["scheduled in step", "scheduled a step ahead"])
def engine(tmp_path: Path, request: pytest.FixtureRequest) -> Engine:
    return started(tmp_path, bool(request.param), slots=2)


def test_a_request_that_is_first_does_not_wait_for_prompts_before_it(engine: Engine) -> None:
    for number in range(4):
        engine.ask(f"long {number}", A, tokens=8, prompt=LONG)
    engine.ask("first", B, tokens=8, priority=-1)
    assert engine.step() == {"first"}


def test_it_does_not_wait_for_the_rest_of_one_that_has_begun(engine: Engine) -> None:
    engine.ask("long 0", A, tokens=8, prompt=LONG)
    engine.ask("long 1", A, tokens=8, prompt=LONG)
    assert engine.step() == {"long 0", "long 1"}
    engine.ask("first", B, tokens=8, priority=-1)
    assert engine.step() == {"long 0", "first"}, "what is computed goes on"


def test_prompts_that_gave_way_get_on_however_many_are_first(engine: Engine) -> None:
    for number in range(3):
        engine.ask(f"long {number}", A, tokens=2, prompt=LONG)
    for number in range(12):
        engine.ask(f"first {number}", B, tokens=2, priority=-1)
        engine.step()
    assert any(engine.tokens(f"long {number}") for number in range(3))


def test_everybody_ends_whole_and_in_the_order_they_came(engine: Engine) -> None:
    for number in range(4):
        engine.ask(f"long {number}", A, tokens=4, prompt=LONG)
        engine.ask(f"first {number}", B, tokens=4, prompt=600, priority=-1)
    ended: list[str] = []
    for _ in range(60):
        engine.step()
        over = [name for name, one in engine.requests.items() if one.is_finished()]
        ended += [name for name in over if name not in ended]
    assert {name: engine.tokens(name) for name in engine.requests} == dict.fromkeys(ended, 4)
    for kind in ("long", "first"):
        names = [name for name in ended if name.startswith(kind)]
        assert names == sorted(names)
    assert not engine.scheduler.has_unfinished_requests()


def test_while_nobody_is_first_nothing_changes(engine: Engine) -> None:
    engine.ask("long 0", A, tokens=8, prompt=LONG)
    engine.ask("long 1", A, tokens=8, prompt=LONG)
    engine.ask("short", B, tokens=8)
    assert engine.step() == {"long 0", "long 1"}


def test_memory_that_comes_free_is_not_taken_by_prompts_that_gave_way(tmp_path: Path) -> None:
    engine = started(tmp_path, ahead=False, slots=2, blocks=80)
    engine.ask("long 0", A, tokens=8, prompt=900)
    engine.ask("long 1", A, tokens=8, prompt=900)
    engine.step()
    engine.ask("first", B, tokens=8, prompt=600, priority=-1)
    engine.step(10)
    assert engine.requests["long 0"].is_finished()
    assert engine.tokens("first")
    assert not engine.tokens("long 1")
    engine.step(40)
    assert (engine.tokens("first"), engine.tokens("long 1")) == (8, 8)
