"""Turns at LoRA slots: tables for single decisions, and whole lives by hypothesis."""

import math
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.turns import Turns, take_turns

TURN_S = 0.5
A, B, C, D = 1, 2, 3, 4


@dataclass(frozen=True)
class Case:
    """``before``, asked by ``wanting`` at ``now``, becomes ``after``."""

    wanting: list[int]
    after: Turns
    before: Turns = field(default_factory=Turns)
    slots: int = 1
    now: float = 10.0


CASES = {
    "a free slot is given at once": Case([A], Turns({A: 10.0})),
    "whoever came first gets the one slot": Case([B, A], Turns({B: 10.0}, (A,))),
    "nobody waits while there are slots": Case([A, B], Turns({A: 10.0, B: 10.0}), slots=2),
    "an adapter alone keeps its slot for ever": Case(
        [A], Turns({A: 0.0}), before=Turns({A: 0.0}), now=1e6
    ),
    "whoever has had a turn gives way at once": Case(
        [A, B], Turns({B: 10.0}, (A,)), before=Turns({A: 0.0})
    ),
    "whoever has not keeps its slot": Case(
        [A, B], Turns({A: 9.8}, (B,)), before=Turns({A: 9.8}), now=10.0
    ),
    "the longest turn ends first": Case(
        [A, B, C], Turns({A: 9.0, C: 10.0}, (B,)), before=Turns({A: 9.0, B: 8.0}), slots=2
    ),
    "no more give way than wait": Case(
        [A, B, C, D],
        Turns({B: 3.0, C: 4.0, D: 10.0}, (A,)),
        before=Turns({A: 2.0, B: 3.0, C: 4.0}),
        slots=3,
    ),
    "a free slot spares those who hold one": Case(
        [A, C], Turns({A: 0.0, C: 10.0}), before=Turns({A: 0.0, B: 0.0}), slots=2
    ),
    "whoever waits longest goes first, the newcomer last": Case(
        [A, D, B, C], Turns({B: 10.0}, (C, D, A)), before=Turns({A: 0.0}, (B, C))
    ),
    "whoever wants no more holds nothing and waits for nothing": Case(
        [], Turns(), before=Turns({A: 9.9}, (B,))
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_turns(case: Case) -> None:
    assert take_turns(case.before, case.wanting, case.slots, TURN_S, case.now) == case.after


@dataclass(frozen=True)
class Life:
    """What an engine sees: so many seconds after the last step, these adapters want to run."""

    slots: int
    steps: list[tuple[float, list[int]]]


STEPS = st.tuples(st.floats(0.001, 0.3), st.lists(st.integers(0, 7), unique=True))
LIVES = st.builds(Life, st.integers(1, 4), st.lists(STEPS, max_size=60))


def _lived(life: Life) -> list[tuple[float, list[int], Turns]]:
    now, turns, seen = 0.0, Turns(), []
    for passed_s, wanting in life.steps:
        now += passed_s
        turns = take_turns(turns, wanting, life.slots, TURN_S, now)
        seen.append((now, wanting, turns))
    return seen


@given(LIVES)
def test_everybody_who_wants_holds_or_waits_and_there_are_no_more_holders_than_slots(
    life: Life,
) -> None:
    for _, wanting, turns in _lived(life):
        assert sorted([*turns.holding, *turns.waiting]) == sorted(wanting)
        assert len(turns.holding) <= life.slots


@given(LIVES)
def test_no_slot_is_empty_while_somebody_waits(life: Life) -> None:
    for _, _, turns in _lived(life):
        assert not turns.waiting or len(turns.holding) == life.slots


@given(LIVES)
def test_nobody_who_still_wants_gives_up_a_slot_before_a_turn_or_to_nobody(life: Life) -> None:
    before = Turns()
    for now, wanting, turns in _lived(life):
        for adapter in (before.holding.keys() - turns.holding.keys()) & set(wanting):
            assert now - before.holding[adapter] >= TURN_S
            assert turns.holding.keys() - before.holding.keys()
        before = turns


@given(LIVES)
def test_nobody_gives_up_a_slot_when_there_are_enough(life: Life) -> None:
    before = Turns()
    for _, wanting, turns in _lived(life):
        if len(wanting) <= life.slots:
            assert not turns.waiting
            assert all(
                turns.holding[adapter] == since
                for adapter, since in before.holding.items()
                if adapter in wanting
            )
        before = turns


@given(
    slots=st.integers(1, 4),
    adapters=st.integers(1, 12),
    steps_s=st.lists(st.floats(0.001, 0.3), min_size=300, max_size=300),
)
def test_the_kth_that_waits_has_a_slot_within_the_stated_bound(
    slots: int, adapters: int, steps_s: list[float]
) -> None:
    """All want to run all the time: the worst there is for those who wait."""
    step_s = max(steps_s)
    now, turns, due = 0.0, Turns(), dict[int, float]()
    for passed_s in steps_s:
        now += passed_s
        turns = take_turns(turns, range(adapters), slots, TURN_S, now)
        for place, adapter in enumerate(turns.waiting, start=1):
            bound_s = math.ceil(place / slots) * (TURN_S + step_s)
            due.setdefault(adapter, now + bound_s)
            assert now <= due[adapter] + 1e-9
        for adapter in turns.holding:
            assert now <= due.pop(adapter, now) + 1e-9
