from hypothesis import given
from hypothesis import strategies as st

from serve_app.tenancy.allot import Stake, allot

STAKES = st.builds(Stake, *[st.integers(0, 1000)] * 3)


def test_a_gateway_alone_may_use_everything() -> None:
    assert allot(600, Stake(0, 0, 1), []) == 600
    assert allot(600, Stake(599, 600, 0), []) == 600
    assert allot(1, Stake(0, 0, 16), []) == 1


def test_what_is_left_is_divided_by_what_is_wanted() -> None:
    assert allot(600, Stake(100, 0, 30), [Stake(200, 200, 10)]) == 100 + 225
    assert allot(600, Stake(0, 0, 0), [Stake(0, 0, 0)]) == 300


def test_what_another_holds_is_not_given_away() -> None:
    assert allot(600, Stake(0, 0, 100), [Stake(0, 600, 0)]) == 0
    assert allot(600, Stake(0, 0, 100), [Stake(50, 500, 0)]) == 100


@given(st.integers(0, 2000), STAKES, st.lists(STAKES, max_size=5))
def test_with_what_others_hold_it_is_never_more_than_the_limit(
    limit: int, mine: Stake, others: list[Stake]
) -> None:
    held = sum(other.held for other in others)
    assert allot(limit, mine, others) <= max(0, limit - held)


@given(st.integers(1, 2000), STAKES)
def test_a_gateway_alone_gets_the_whole_limit_whatever_it_wants(limit: int, mine: Stake) -> None:
    assert allot(limit, mine, []) == limit
