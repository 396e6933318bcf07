"""The measurement of ways to share slots: its figures, and the gate it compares with."""

import asyncio

import pytest

pytest.importorskip("vllm.v1.core.sched.scheduler")

from serve_app.adapters.version import Version
from serve_app.bench.slot_loads import Asked, ways
from serve_app.bench.slot_rivals import DrainingGate
from serve_app.bench.slots import Observed, contests, table
from serve_app.settings import EngineSettings

ADAPTERS = [Version(name, 1, "0" * 64, 16, 1) for name in ("busy", "short")]
ONE_BUSY, ALL_BUSY = contests(ADAPTERS)


def asked(adapter: str, at: float, first: float | None, ended: float | None, tokens: int) -> Asked:
    last = b'data: {"usage": {"completion_tokens": %d}}\n\n' % tokens
    return Asked(adapter, at, first, ended, last if tokens else b"")


SEEN = Observed(
    seconds=10.0,
    rounds=2,
    cpu_s=5.0,
    asked=[
        asked("busy", 0.0, 0.5, None, 400),
        asked("busy", 0.0, 0.5, 4.0, 200),
        asked("short", 2.0, 2.5, 3.0, 4),
        asked("short", 4.0, None, None, 0),
    ],
)


def test_a_question_without_an_answer_has_waited_until_its_round_ended() -> None:
    found = ONE_BUSY.measure(SEEN)
    assert found["worst, s"] == 6.0
    assert found["answer p50, s"] == 3.5


def test_speed_is_over_all_rounds() -> None:
    assert ONE_BUSY.measure(SEEN)["busy tokens/s"] == 30.0
    assert ALL_BUSY.measure(SEEN)["tokens/s"] == 30.2
    assert ALL_BUSY.measure(SEEN)["tokens/CPU s"] == 120.8


def test_first_tokens_are_what_all_busy_adapters_wait_for() -> None:
    assert ALL_BUSY.measure(SEEN)["first token p50, s"] == 0.5


def test_every_figure_stands_beside_its_ratio_to_the_first_way() -> None:
    rows = table("title", {"first": {"x": 4.0}, "second": {"x": 1.0}})
    assert [list(column.cells) for column in rows.columns] == [
        ["first", "second"],
        ["4 (1.00)", "1 (0.25)"],
    ]


def test_only_turns_put_another_scheduler_into_the_engine() -> None:
    told = {
        way.name: "--scheduler-cls"
        in way.settings(EngineSettings(model="m"), 1).as_vllm_arguments()
        for way in ways(0.5)
    }
    assert told == {
        "vLLM as it is": False,
        "draining above it": False,
        "turns, preempting": True,
        "turns, pausing": True,
    }


async def _inside(
    gate: DrainingGate, adapter: str, entered: list[str], leave: asyncio.Event
) -> None:
    async with gate.turn(adapter):
        entered.append(adapter)
        await leave.wait()


async def _settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_draining_gate_admits_nobody_else_until_the_running_have_ended() -> None:
    gate, entered, leave = DrainingGate(slots=1, turn_s=0.0), list[str](), asyncio.Event()
    first = asyncio.create_task(_inside(gate, "a", entered, leave))
    await _settle()
    others = [asyncio.create_task(_inside(gate, who, entered, leave)) for who in ("b", "a", "b")]
    await _settle()
    assert entered == ["a"], "b has no slot yet, and a has had its turn"
    leave.set()
    await asyncio.gather(first, *others)
    assert entered == ["a", "b", "a", "b"], "each has had its turn"


async def test_a_draining_gate_is_open_to_whoever_holds_a_slot_while_nobody_else_waits() -> None:
    gate, entered, leave = DrainingGate(slots=2, turn_s=0.0), list[str](), asyncio.Event()
    tasks = [asyncio.create_task(_inside(gate, who, entered, leave)) for who in ("a", "b", "a")]
    await _settle()
    assert sorted(entered) == ["a", "a", "b"]
    leave.set()
    await asyncio.gather(*tasks)
