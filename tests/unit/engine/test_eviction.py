from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.eviction import HALF_LIFE_S, Candidate, Uses, cheapest_first, value

NOW = 1_000_000.0
seconds = st.floats(0, 10_000)
ages = st.lists(seconds, min_size=1, max_size=20).map(lambda ages: sorted(ages, reverse=True))
candidates = st.builds(
    Candidate,
    name=st.text("abcdef", min_size=1, max_size=4),
    uses=st.builds(Uses, st.floats(0, 1000), seconds.map(lambda age: NOW - age)),
    load_s=st.floats(0, 100),
    retired=st.booleans(),
)


def _used(ages: list[float]) -> Uses:
    uses = Uses(0.0, NOW - ages[0])
    for age in ages:
        uses = uses.again(NOW - age)
    return uses


@given(ages)
def test_uses_are_what_each_use_weighs_by_its_age(ages: list[float]) -> None:
    expected = sum(2 ** (-age / HALF_LIFE_S) for age in ages)
    assert _used(ages).decayed(NOW) == pytest.approx(expected)


@given(ages, seconds)
def test_uses_never_grow_by_waiting(ages: list[float], wait_s: float) -> None:
    uses = _used(ages)
    assert uses.decayed(NOW + wait_s) <= uses.decayed(NOW)


@given(ages, seconds)
def test_one_more_use_is_worth_more(ages: list[float], load_s: float) -> None:
    once = _used(ages)
    kept, used = Candidate("a", once, load_s), Candidate("a", once.again(NOW), load_s)
    assert value(used, NOW) > value(kept, NOW)


@given(ages, seconds, seconds)
def test_what_costs_more_to_have_back_is_worth_more(ages: list[float], a: float, b: float) -> None:
    cheap, dear = sorted((a, b))
    uses = _used(ages)
    assert value(Candidate("a", uses, cheap), NOW) <= value(Candidate("a", uses, dear), NOW)


@given(st.lists(candidates, max_size=12))
def test_all_are_put_in_order_retired_first_and_then_by_value(crowd: list[Candidate]) -> None:
    ordered = cheapest_first(crowd, NOW)
    assert sorted(map(id, ordered)) == sorted(map(id, crowd))
    for first, second in pairwise(ordered):
        assert first.retired or not second.retired
        if first.retired == second.retired:
            assert value(first, NOW) <= value(second, NOW)


def test_among_equals_the_one_used_longest_ago_goes() -> None:
    old, new = Candidate("old", Uses(0.0, 1.0), 1.0), Candidate("new", Uses(0.0, 2.0), 1.0)
    assert cheapest_first([new, old], NOW) == [old, new]
