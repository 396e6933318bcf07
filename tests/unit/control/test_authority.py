"""Limits over several gateways: simulated, with reports that are late or lost."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.tenancy.allot import NOTHING, SILENT_S, Report, Share
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Ask
from tests.unit.control.sharing import SUBJECT, Gateway, Wires, a_site, an_authority


def _most_in_a_minute(admitted: list[float]) -> int:
    ordered = sorted(admitted)
    return max(
        (sum(begin <= at < begin + 60 for at in ordered[n:]) for n, begin in enumerate(ordered)),
        default=0,
    )


def _run(gateways: int, rates: list[float], seconds: int, loss: float = 0.0) -> list[Gateway]:
    """Requests at ``rates`` a second, by gateway, against 600 a minute; a report each 0.25 s."""
    clock, authority, site = a_site(Limits(requests_per_minute=600), gateways)
    dice = random.Random(gateways)
    due = [0.0] * gateways
    for _ in range(seconds * 20):
        clock.now += 0.05
        for gateway, rate, place in zip(site, rates, range(gateways), strict=True):
            due[place] += rate * 0.05
            while due[place] >= 1:
                due[place] -= 1
                gateway.offer(clock.now, Ask(1, None))
            if dice.random() < 0.2:
                gateway.sync(authority, clock.now, lost=dice.random() < loss)
    return site


def test_one_gateway_is_exact() -> None:
    (alone,) = _run(1, [30], 150)
    assert _most_in_a_minute(alone.admitted) == 600


@pytest.mark.parametrize(
    ("rates", "loss"),
    [([15, 15], 0), ([28, 2], 0), ([10, 10, 10], 0), ([20, 5, 5], 0.3)],
    ids=["two alike", "two unlike", "three", "a third of the answers are lost"],
)
def test_several_gateways_admit_the_limit_together_and_no_more(
    rates: list[float], loss: float
) -> None:
    site = _run(len(rates), rates, 130, loss)
    admitted = [at for gateway in site for at in gateway.admitted]
    assert 540 <= _most_in_a_minute(admitted) <= 600
    assert len(admitted) >= 0.9 * 600 * 130 / 61


EVENTS = ("send", "arrive", "answer", "give_up", "ask", "end", "time_passes")


@given(
    st.lists(st.tuples(st.sampled_from(EVENTS), st.integers(0, 2), st.integers(0, 9)), min_size=50),
    st.integers(0, 12),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_lost_late_or_out_of_order_no_limit_is_passed(
    events: list[tuple[str, int, int]], limit: int
) -> None:
    wires = Wires(Limits(concurrent_requests=limit, requests_per_minute=15, tokens_per_minute=20))
    for event, place, amount in events:
        getattr(wires, event)(place, amount)
        used = [gateway.tally.used(wires.clock.now) for gateway in wires.gateways]
        requests, tokens, concurrent, _ = map(sum, zip(*used, strict=True))
        assert requests <= 15
        assert tokens <= 20
        assert concurrent <= limit


def test_a_report_that_was_overtaken_changes_nothing() -> None:
    clock, authority, (first, second) = a_site(Limits(requests_per_minute=10), 2)
    late = first.report(clock.now)
    first.sync(authority, clock.now)
    assert authority.share(late) == {}
    assert sum(first.offer(clock.now, Ask(1, None)) for _ in range(11)) == 10
    assert not second.offer(clock.now, Ask(1, None))
    second.sync(authority, clock.now)
    assert not second.offer(clock.now, Ask(1, None))


def test_what_a_gateway_is_to_let_go_of_is_its_own_until_it_knows() -> None:
    clock, authority, (first, second) = a_site(Limits(requests_per_minute=10), 2)
    first.sync(authority, clock.now)
    assert not second.offer(clock.now, Ask(1, None))
    second.sync(authority, clock.now)
    first.sync(authority, clock.now, lost=True)
    second.sync(authority, clock.now)
    assert sum(first.offer(clock.now, Ask(1, None)) for _ in range(11)) == 10
    assert not second.offer(clock.now, Ask(1, None))


def test_what_was_let_in_while_the_answer_came_is_not_given_away() -> None:
    clock, authority, (first, second) = a_site(Limits(requests_per_minute=10), 2)
    first.sync(authority, clock.now)
    assert not second.offer(clock.now, Ask(1, None))
    second.sync(authority, clock.now)
    shares = authority.share(first.report(clock.now))
    assert sum(first.offer(clock.now, Ask(1, None)) for _ in range(8)) == 8
    first.hear(first.number, shares, clock.now)
    first.sync(authority, clock.now)
    second.sync(authority, clock.now)
    assert 1 <= sum(second.offer(clock.now, Ask(1, None)) for _ in range(11)) <= 2


def test_a_gateway_that_is_quiet_is_asked_when_another_is_pressed() -> None:
    clock, authority, (busy, quiet) = a_site(Limits(requests_per_minute=10), 2)
    quiet.sync(authority, clock.now)
    clock.now += 1
    assert not busy.offer(clock.now, Ask(1, None))
    busy.sync(authority, clock.now)
    share = busy.tally.share
    assert share is not None
    assert not share.fresh, "what the quiet one has is not known for sure"
    assert quiet.beat(authority) == {SUBJECT: None}
    assert quiet.beat(authority) == {}, "it is asked once"
    quiet.sync(authority, clock.now)
    assert isinstance(quiet.tally.share, Share)
    assert quiet.tally.share.needed
    quiet.sync(authority, clock.now)
    busy.sync(authority, clock.now)
    assert sum(busy.offer(clock.now, Ask(1, None)) for _ in range(11)) == 10


def test_who_wants_little_gets_one_where_another_wants_much() -> None:
    clock, authority, (eager, modest) = a_site(Limits(concurrent_requests=4), 2)
    for _ in range(100):
        eager.offer(clock.now, Ask(1, None))
    modest.offer(clock.now, Ask(1, None))
    for _ in range(3):
        eager.sync(authority, clock.now)
        modest.sync(authority, clock.now)
    assert modest.offer(clock.now, Ask(1, None))
    assert sum(eager.offer(clock.now, Ask(1, None)) for _ in range(9)) == 3


def test_what_a_gateway_lets_go_of_is_the_others_at_once() -> None:
    clock, authority, (first, second) = a_site(Limits(requests_per_minute=10), 2)
    first.sync(authority, clock.now)
    first.number += 1
    authority.share(Report(first.id, first.number, released=frozenset({SUBJECT})))
    second.sync(authority, clock.now)
    assert sum(second.offer(clock.now, Ask(1, None)) for _ in range(11)) == 10


def test_a_gateway_that_leaves_takes_only_what_it_has_used() -> None:
    clock, authority, (first, second) = a_site(Limits(requests_per_minute=10), 2)
    first.sync(authority, clock.now)
    assert first.offer(clock.now, Ask(1, None))
    report = first.report(clock.now)
    authority.share(Report(first.id, report.number, report.claims, leaving=True))
    assert not second.offer(clock.now, Ask(1, None))
    second.sync(authority, clock.now)
    assert sum(second.offer(clock.now, Ask(1, None)) for _ in range(11)) == 9


def test_an_adapter_in_flight_on_two_gateways_is_one() -> None:
    clock, authority, (first, second) = a_site(Limits(concurrent_adapters=2), 2)
    a, b, c = (Ask(1, name) for name in "abc")
    for _ in range(3):
        first.sync(authority, clock.now)
        second.sync(authority, clock.now)
    assert first.offer(clock.now, a)
    for _ in range(3):
        first.sync(authority, clock.now)
        second.sync(authority, clock.now)
    assert second.offer(clock.now, a)
    for _ in range(4):
        second.tally.want(b, clock.now)
        second.sync(authority, clock.now)
        first.sync(authority, clock.now)
    assert second.offer(clock.now, b)
    for _ in range(4):
        first.sync(authority, clock.now)
        second.sync(authority, clock.now)
    assert not first.offer(clock.now, c)
    assert authority.used(SUBJECT)[3] == 2


def test_what_a_gateway_that_died_ran_is_free_again_in_seconds() -> None:
    clock, authority, (first, second) = a_site(Limits(concurrent_requests=3), 2)
    first.sync(authority, clock.now)
    assert all(first.offer(clock.now, Ask(1, None)) for _ in range(3))
    first.sync(authority, clock.now)
    second.sync(authority, clock.now)
    assert not second.offer(clock.now, Ask(1, None))
    clock.now += SILENT_S + 1
    second.sync(authority, clock.now)
    assert authority.used(SUBJECT)[2] == 0
    assert second.offer(clock.now, Ask(1, None))


def test_a_new_authority_learns_what_is_held_before_it_gives() -> None:
    clock, authority, (first, second, third) = a_site(Limits(requests_per_minute=100), 3)
    first.sync(authority, clock.now)
    assert sum(first.offer(clock.now, Ask(1, None)) for _ in range(100)) == 100
    successor = an_authority(clock)
    for stranger in (second, third):
        stranger.sync(successor, clock.now)
        assert sum(stranger.offer(clock.now, Ask(1, None)) for _ in range(100)) <= 11
    first.sync(successor, clock.now)
    second.sync(successor, clock.now)
    assert not second.offer(clock.now, Ask(1, None))


def test_a_subject_nobody_speaks_of_is_forgotten() -> None:
    clock, authority, (first, _) = a_site(Limits(requests_per_minute=100), 2)
    first.sync(authority, clock.now)
    first.offer(clock.now, Ask(1, None))
    first.sync(authority, clock.now)
    assert authority.used(SUBJECT) == (1, 1, 1, 0, 7, 8)
    clock.now += 100
    authority.sweep()
    assert (authority._told, authority._reporters) == ({}, {})
    assert authority.used(SUBJECT) == (*NOTHING, 7, 8)
