from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.eviction import Candidate, Uses
from serve_app.engine.room import Moves, Place, decide

NOW, TURN_S = 100.0, 1.0


def _place(
    name: str, leases: int = 0, since: float = 0.0, uses: float = 1.0, held_back: bool = False
) -> Place:
    return Place(Candidate(name, Uses(uses, NOW), 1.0), leases, since, held_back)


IDLE, BUSY, FRESH = _place("idle"), _place("busy", leases=2), _place("fresh", leases=1, since=NOW)
BUSIER = _place("busier", leases=1, uses=9.0)
EMPTYING = _place("emptying", leases=1, uses=9.0, held_back=True)
LONG, SHORT = 0.0, NOW

CASES: dict[str, tuple[list[float], list[Place], dict[str, int], Moves]] = {
    "nobody waits, so nothing is done": ([], [IDLE, BUSY], {}, Moves()),
    "who waits gets the room there is": ([SHORT], [IDLE], {"free": 1}, Moves(1)),
    "as many as there is room for": ([SHORT] * 3, [], {"free": 2}, Moves(2)),
    "an idle one goes for who lacks room": ([SHORT], [IDLE], {}, Moves(0, ("idle",))),
    "one that is leaving makes room already": ([SHORT], [IDLE], {"leaving": 1}, Moves()),
    "a busy one is left alone at first": ([SHORT], [BUSY], {}, Moves()),
    "a busy one empties when its turn is over": (
        [LONG],
        [BUSY, BUSIER],
        {},
        Moves(0, (), frozenset({"busy"})),
    ),
    "one that has just come has its turn first": ([LONG], [FRESH], {}, Moves()),
    "an idle one goes before a busy one empties": (
        [LONG],
        [BUSY, IDLE],
        {},
        Moves(0, ("idle",)),
    ),
    "one is emptied after the other, not all": (
        [LONG],
        [BUSY, EMPTYING],
        {},
        Moves(0, (), frozenset({"emptying"})),
    ),
    "one that empties is left alone when nobody waits": ([], [EMPTYING], {}, Moves()),
    "one that empties is left alone when room comes": ([LONG], [EMPTYING], {"free": 1}, Moves(1)),
}


@pytest.mark.parametrize(("waiting", "places", "room", "moves"), CASES.values(), ids=CASES)
def test_room_is_shared_so_that(
    waiting: list[float], places: list[Place], room: dict[str, int], moves: Moves
) -> None:
    there: dict[str, int] = {"free": 0, "leaving": 0, **room}
    assert decide(waiting, places, **there, turn_s=TURN_S, now=NOW) == moves


places = st.lists(
    st.builds(
        Place,
        st.builds(
            Candidate,
            st.uuids().map(str),
            st.builds(Uses, st.floats(0, 9), st.floats(0, NOW)),
            st.floats(0, 9),
        ),
        st.integers(0, 2),
        st.floats(0, NOW),
        st.booleans(),
    ),
    max_size=6,
)


@given(st.lists(st.floats(0, NOW), max_size=6), places, st.integers(0, 3), st.integers(0, 3))
def test_no_more_is_given_or_taken_than_is_needed(
    waiting: list[float], places: list[Place], free: int, leaving: int
) -> None:
    moves: Any = decide(waiting, places, free=free, leaving=leaving, turn_s=TURN_S, now=NOW)
    idle = {p.candidate.name for p in places if not p.leases}
    busy = {p.candidate.name for p in places if p.leases}
    missing = max(0, len(waiting) - free - leaving)
    assert moves.admit == min(free, len(waiting))
    assert set(moves.unload) <= idle
    assert moves.hold_back <= busy
    assert len(moves.unload) == min(missing, len(idle))
    assert len(moves.unload) + len(moves.hold_back) <= missing
