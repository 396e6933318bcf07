"""How many replicas the load asks for, table by table and as properties."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import ConfigError
from serve_app.routing.messages import News
from serve_app.routing.scaling import KINDS, USUAL, Bounds, Load, Targets, stats, wish
from serve_app.routing.view import Costs

IDLE = Load()
AT_TARGET = Load(**{kind: getattr(USUAL, kind) for kind in KINDS})
WIDE = Bounds(1, 64)

shares = st.just(0.0) | st.floats(0.01, 4)
loads = st.builds(Load, *[shares] * len(KINDS))
fleets = st.lists(loads, max_size=8)
presents = st.integers(0, 12)
bounds = st.builds(lambda least, more: Bounds(least, least + more), *[st.integers(1, 6)] * 2)


def wanted(loads: list[Load], present: int, silent: int = 0, bounds: Bounds = WIDE) -> int:
    return wish(loads, silent, present, bounds).replicas


def alike(number: int, **kinds: float) -> list[Load]:
    return [replace(IDLE, **kinds)] * number


TABLE: dict[str, tuple[list[Load], int, int]] = {
    "nothing to do, of which one at a time draws the conclusion": (alike(4), 4, 3),
    "nothing to do for the only one": (alike(1), 1, 1),
    "seats at twice their target": (alike(2, seats=1.2), 2, 4),
    "one replica that queues, one idle": ([Load(seats=0.9), IDLE], 2, 2),
    "every slot taken, and half as many adapters wait": (alike(2, slots=1.5), 2, 3),
    "a full KV cache": (alike(2, memory=1.0), 2, 3),
    "prompts that wait": (alike(1, prompts_s=0.4), 1, 2),
    "adapters that are loaded all the time": (alike(3, loads=1.0), 3, 4),
    "loads on the one replica that has just come": ([IDLE, IDLE, Load(loads=1.0)], 3, 2),
    "a little above target": (alike(4, seats=0.61), 4, 5),
    "a little below target, where one less would soon be short": (alike(4, seats=0.44), 4, 4),
    "well below target": (alike(4, seats=0.35), 4, 3),
    "queues without end, which only double the fleet": (alike(3, prompts_s=1e6), 3, 6),
}


@pytest.mark.parametrize(("loads", "present", "expected"), TABLE.values(), ids=TABLE)
def test_the_replicas_wanted_of(loads: list[Load], present: int, expected: int) -> None:
    assert wanted(loads, present) == expected


def test_the_scarcest_kind_of_load_decides_and_is_named() -> None:
    found = wish([Load(seats=0.6, slots=1.5, memory=0.7)] * 2, 0, 2, WIDE)
    assert str(found) == "3 replicas: slots ask for 3.00"


def test_nothing_heard_of_anybody_changes_nothing() -> None:
    assert wanted([], 5, silent=5) == 5
    assert wanted([], 0, bounds=Bounds(0, 4)) == 0


@given(fleets, presents, st.integers(0, 3), bounds)
def test_it_is_never_below_min_or_above_max(
    fleet: list[Load], present: int, silent: int, bounds: Bounds
) -> None:
    assert wanted(fleet, present, silent, bounds) in bounds


@given(fleets, st.data(), presents, st.integers(0, 3))
def test_more_load_never_asks_for_fewer(
    fleet: list[Load], data: st.DataObject, present: int, silent: int
) -> None:
    more = [
        Load(**{kind: getattr(one, kind) + data.draw(shares) for kind in KINDS}) for one in fleet
    ]
    assert wanted(more, present, silent) >= wanted(fleet, present, silent)


@given(st.integers(1, 64), st.floats(0, 1), st.sampled_from(KINDS))
def test_a_fleet_at_its_targets_or_a_little_below_stays_as_it_is(
    number: int, below: float, kind: str
) -> None:
    share = 1 - USUAL.slack * below
    assert wanted([AT_TARGET] * number, number) == number
    assert wanted(alike(number, **{kind: getattr(USUAL, kind) * share}), number) == number


@given(st.just(0.0) | st.floats(0.01, 30), presents, st.sampled_from(KINDS))
def test_once_granted_a_wish_is_content_with_the_same_load(
    total: float, present: int, kind: str
) -> None:
    def spread_over(number: int) -> list[Load]:
        return alike(number, **{kind: total * getattr(USUAL, kind) / number})

    number = present or 1
    for _ in range(16):  # a fleet at most doubles, and at most one leaves
        number, before = wanted(spread_over(number), number), number
    assert number == before
    assert wanted(spread_over(number), number) == number


@given(fleets, presents, st.integers(0, 3))
def test_at_most_one_leaves_and_at_most_twice_as_many_come(
    fleet: list[Load], present: int, silent: int
) -> None:
    number = wanted(fleet, present, silent, Bounds(0, 64))
    assert present - 1 <= number <= max(present, 2 * len(fleet))


@given(fleets, presents, st.integers(1, 3), bounds)
def test_while_a_replica_is_silent_none_is_given_up(
    fleet: list[Load], present: int, silent: int, bounds: Bounds
) -> None:
    assert wanted(fleet, present, silent, bounds) >= bounds.clip(present)


@given(fleets, presents, st.integers(0, 3))
def test_the_last_replica_is_given_up_only_if_that_was_asked_for_and_all_is_idle(
    fleet: list[Load], present: int, silent: int
) -> None:
    assert wanted(fleet, present, silent, Bounds(1, 8)) >= 1
    if any(one != IDLE for one in fleet):
        assert wanted(fleet, present, silent, Bounds(0, 8)) >= 1
    assert wanted([IDLE], 1, bounds=Bounds(0, 8)) == 0


def test_what_a_replica_tells_is_shares_of_what_it_takes() -> None:
    news = News(
        holds=frozenset({"a@1", "b@1", "c@1"}),
        in_flight={"g1": 5, "g2": 3},
        capacity=32,
        kv_usage=0.4,
        loading=frozenset({"c@1"}),
        active=frozenset({"a@1", "b@1", "c@1"}),
        max_loras=2,
        waiting_tokens=1000,
        costs=Costs(prompt_token_s=0.0005),
    )
    told = stats(news)
    assert told == {"seats": 0.25, "slots": 1.5, "memory": 0.4, "prompts_s": 0.5, "loads": 1.0}
    assert stats(replace(news, alive=False)) == {}


def test_a_mean_is_of_each_kind() -> None:
    assert Load.mean([Load(seats=1.0, loads=1.0), Load(slots=0.5)]) == Load(0.5, 0.25, 0, 0, 0.5)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"seat": 0.5}, "seat: unknown; known here are seats, slots"),
        ({"seats": 0}, "seats: must be more than 0"),
        ({"memory": float("inf")}, "memory: must be more than 0"),
        ({"slack": 1.0}, "slack: must be at least 0 and less than 1"),
        ({"loads": "many"}, "loads: must be a number, not 'many'"),
    ],
)
def test_targets_that_make_no_sense_are_refused(values: dict[str, float], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Targets.parse(values)
