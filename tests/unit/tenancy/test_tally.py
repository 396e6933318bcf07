import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.tenancy.allot import REQUESTS, Share
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import GOOD_S, RECORD_S, Ask, Tally, first_part

ONE = Ask(1, None)


def _tally(now: float = 1000.0, **limits: int) -> Tally:
    """One on the only gateway there is."""
    tally = Tally(Limits(**limits), now)
    tally.hear(Share((10**9,) * 4), now)
    return tally


def test_a_limit_that_was_lowered_holds_at_once() -> None:
    tally = _tally(requests_per_minute=20)
    for _ in range(5):
        tally.charge(ONE, 1000)
    assert tally.short(ONE, 1000) is None
    tally.limit_to(Limits(requests_per_minute=5))
    assert tally.short(ONE, 1000) is not None


@given(
    st.lists(st.tuples(st.floats(0, 20), st.integers(1, 30)), min_size=1, max_size=40),
    st.integers(1, 40),
)
def test_a_refused_request_fits_when_it_was_told_to_come_again(
    steps: list[tuple[float, int]], tokens: int
) -> None:
    tally, now = _tally(tokens_per_minute=40), 1000.0
    for pause, amount in steps:
        now += pause
        if tally.short(Ask(amount, None), now) is None:
            tally.charge(Ask(amount, None), now)
    tally.hear(Share((40,) * 4), now)
    refused = tally.short(Ask(tokens, None), now)
    if refused is not None:
        assert not refused.here
        assert not refused.never
        assert tally.short(Ask(tokens, None), now + refused.after_s) is None


def test_a_refusal_is_sure_only_where_other_gateways_are_known() -> None:
    tally = _tally(requests_per_minute=10)
    tally.hear(Share((0,) * 4, elsewhere=(10, 0, 0, 0)), 1000)
    sure = tally.short(ONE, 1000)
    assert sure is not None
    assert (sure.here, sure.left) == (False, 0)
    later = tally.short(ONE, 1001 + GOOD_S)
    assert later is not None
    assert later.here
    tally.hear(Share((0,) * 4, elsewhere=(10, 0, 0, 0), fresh=False), 1000)
    unsure = tally.short(ONE, 1000)
    assert unsure is not None
    assert unsure.here


def test_a_budget_counts_what_is_recorded_on_its_way_and_in_flight() -> None:
    tally = _tally(tokens_per_day=100)
    tally.hear(Share(spent=(40, 40)), 1000)
    ask = Ask(59, None)
    second = tally.charge(ask, 1000)
    assert tally.short(ONE, 1000) is None, "99 of 100"
    tally.settle(ask, second, 60, 1001)
    spent = tally.short(ONE, 1001)
    assert spent is not None
    assert (spent.limit, spent.here) == (100, False)
    assert tally.short(ONE, 1002 + RECORD_S) is None, "what was late is recorded, or was not used"


def test_a_budget_of_nothing_lets_nobody_in() -> None:
    assert _tally(tokens_per_month=0).short(ONE, 1000) is not None


def test_a_tally_is_idle_when_its_last_request_is_out_of_the_window() -> None:
    tally = _tally(requests_per_minute=5)
    tally.want(ONE, 1000)
    second = tally.charge(ONE, 1000)
    assert not tally.idle(1100), "its request is in flight"
    tally.settle(ONE, second, 1, 1100)
    assert not tally.idle(1161)
    assert tally.idle(1162)
    tally.claim(1162)
    assert tally.idle(1162), "telling of it is no use of it"


def test_only_what_is_limited_is_told_as_held() -> None:
    tally = _tally(requests_per_minute=5)
    assert tally.claim(1000).held == (10**9, 0, 0, 0)
    assert tally.remaining(REQUESTS, 1000) == 5


@pytest.mark.parametrize(("limit", "part"), [(None, 0), (0, 0), (1, 1), (9, 1), (600, 61)])
def test_who_can_ask_nobody_takes_a_part(limit: int | None, part: int) -> None:
    assert first_part(limit) == part
