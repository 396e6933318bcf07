from functools import partial
from threading import Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing import seats
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call
from serve_app.routing.policy import Reason
from tests.unit.fakes import a_call, a_version, news_of

R1, R2, BOTH = "r1", "r2", ("r1", "r2")
ACME, LEGAL = a_version("acme"), a_version("legal")


class Changes:
    """What a fleet told of its running replicas."""

    def __init__(self) -> None:
        self.heard: list[frozenset[str]] = []

    def __call__(self, replicas: frozenset[str]) -> None:
        self.heard.append(replicas)


def _fleet(*replicas: str, **news: Any) -> Fleet:
    fleet = Fleet("me", Changes())
    fleet.replicas_are(frozenset(replicas))
    for replica in replicas:
        fleet.heard(replica, news.get(replica, news_of()))
    return fleet


def _placed(fleet: Fleet, call: Call, replicas: tuple[str, ...] = BOTH) -> tuple[str, Reason]:
    order = fleet.place(call, replicas)
    assert sorted(order) == sorted(replicas)
    assert call.choice is not None
    assert call.choice.replica == order[0]
    return call.choice.replica, call.choice.reason


def test_its_own_calls_count_before_any_news_of_them() -> None:
    fleet = _fleet(*BOTH)
    first = _placed(fleet, a_call())[0]
    assert _placed(fleet, a_call())[0] != first


def test_the_second_call_for_a_cold_adapter_follows_the_first() -> None:
    fleet = _fleet(*BOTH)
    home, reason = _placed(fleet, a_call(ACME))
    assert reason is Reason.HOME
    assert _placed(fleet, a_call(ACME)) == (home, Reason.LOADING)


def test_a_replica_that_answered_for_an_adapter_holds_it_though_older_news_say_nothing() -> None:
    fleet = _fleet(*BOTH)
    call = a_call(ACME)
    home, _ = _placed(fleet, call)
    fleet.release(call, served=True)
    assert _placed(fleet, a_call(ACME)) == (home, Reason.RESIDENT)


def test_newer_news_of_an_eviction_are_believed() -> None:
    fleet = _fleet(*BOTH)
    call = a_call(ACME)
    home, _ = _placed(fleet, call)
    fleet.release(call, served=True)
    fleet.heard(home, news_of())
    assert _placed(fleet, a_call(ACME))[1] is Reason.HOME


def test_an_adapter_that_was_refused_is_resident_nowhere() -> None:
    fleet = _fleet(*BOTH)
    call = a_call(ACME)
    _placed(fleet, call)
    fleet.release(call, served=False)
    assert _placed(fleet, a_call(ACME))[1] is Reason.HOME


def test_news_of_residency_draw_calls() -> None:
    fleet = _fleet(*BOTH, r2=news_of([ACME.name], others=3))
    assert _placed(fleet, a_call(ACME)) == (R2, Reason.RESIDENT)


def test_calls_of_other_gateways_count_and_its_own_are_not_counted_twice() -> None:
    busy_with_others = _fleet(*BOTH, r1=news_of(others=2), r2=news_of(me=2))
    assert _placed(busy_with_others, a_call())[0] == R2


def test_a_replica_whose_engine_is_dead_comes_last() -> None:
    fleet = _fleet(*BOTH, r1=news_of([ACME.name], alive=False))
    assert fleet.place(a_call(ACME), BOTH) == [R2, R1]
    assert fleet.answering() == 1


def test_a_doubted_replica_comes_last_until_it_speaks_again() -> None:
    fleet = _fleet(*BOTH, r1=news_of([ACME.name]))
    fleet.doubt(R1)
    assert fleet.place(a_call(ACME), BOTH) == [R2, R1]
    assert fleet.answering() == 1
    fleet.heard(R1, news_of([LEGAL.name]))
    assert _placed(fleet, a_call(LEGAL)) == (R1, Reason.RESIDENT)


def test_what_a_replica_says_after_it_left_is_ignored() -> None:
    fleet = _fleet(*BOTH)
    fleet.replicas_are(frozenset({R2}))
    fleet.heard(R1, news_of())
    assert fleet.answering() == 1


def test_a_replica_that_comes_back_under_its_name_starts_unknown() -> None:
    fleet = _fleet(R1, r1=news_of([ACME.name]))
    fleet.replicas_are(frozenset())
    fleet.replicas_are(frozenset({R1}))
    assert fleet.answering() == 0


def test_changes_are_told_once() -> None:
    changes = Changes()
    fleet = Fleet("me", changes)
    for replicas in ({R1}, {R1}, {R1, R2}, set()):
        fleet.replicas_are(frozenset(replicas))
    assert changes.heard == [{R1}, {R1, R2}, set()]


def test_a_call_counts_where_ray_sent_it() -> None:
    fleet = _fleet(R1, R2, r1=news_of([ACME.name]))
    call = a_call(ACME)
    assert _placed(fleet, call)[0] == R1
    fleet.routed(call, R2)
    assert call.choice is not None
    assert call.choice.replica == R2
    assert call.choice.reason is Reason.SPILL
    assert fleet.outstanding() == 1
    assert _placed(fleet, a_call())[0] == R1


def test_a_call_that_was_never_placed_counts_once_it_is_routed() -> None:
    fleet = _fleet(*BOTH)
    fleet.routed(a_call(), R1)
    assert fleet.outstanding() == 1
    assert _placed(fleet, a_call())[0] == R2


def test_placing_a_call_again_moves_it() -> None:
    fleet = _fleet(*BOTH)
    call = a_call()
    fleet.place(call, (R1,))
    fleet.place(call, (R2,))
    assert fleet.outstanding() == 1
    assert _placed(fleet, a_call())[0] == R1


def test_without_replicas_nothing_is_booked() -> None:
    fleet = _fleet()
    assert fleet.place(a_call(), ()) == []
    assert fleet.outstanding() == 0


@pytest.mark.parametrize(
    ("calls", "limit", "full"), [(0, 1, False), (1, 1, False), (2, 1, True), (3, 2, False)]
)
def test_a_fleet_is_full_when_every_living_replica_is(calls: int, limit: int, full: bool) -> None:
    fleet = _fleet(R1, R2, "dead", dead=news_of(alive=False))
    for _ in range(calls):
        fleet.place(a_call(), BOTH)
    assert fleet.is_(partial(seats.full, limit)) is full


def test_a_fleet_nobody_heard_of_is_not_full() -> None:
    assert not _fleet().is_(partial(seats.full, 0))


replicas = st.sampled_from(["r1", "r2", "r3"])
numbers = st.integers(0, 4)
steps = st.one_of(
    st.tuples(st.just("place"), numbers, st.frozensets(replicas).map(sorted).map(tuple)),
    st.tuples(st.just("routed"), numbers, replicas),
    st.tuples(st.just("release"), numbers, st.booleans()),
    st.tuples(st.just("heard"), replicas, st.sampled_from([news_of(), news_of([ACME.name], me=2)])),
    st.tuples(st.just("doubt"), replicas, st.none()),
    st.tuples(st.just("replicas_are"), st.frozensets(replicas), st.none()),
)


def _take(fleet: Fleet, calls: list[Call], step: tuple[str, Any, Any]) -> None:
    action, subject, detail = step
    if action == "release":
        fleet.release(calls[subject], served=detail)
    elif action in ("place", "routed"):
        getattr(fleet, action)(calls[subject], detail)
    else:
        arguments = [subject] if detail is None else [subject, detail]
        getattr(fleet, action)(*arguments)


@given(st.lists(steps, max_size=40))
def test_whatever_happens_books_end_at_zero_and_never_fall_below(
    events: list[tuple[str, Any, Any]],
) -> None:
    fleet = _fleet("r1", "r2", "r3")
    calls = [a_call(version) for version in (ACME, ACME, LEGAL, None, None)]
    for event in events:
        _take(fleet, calls, event)
        assert 0 <= fleet.outstanding() <= len(calls)
        assert fleet.is_(partial(seats.full, 0)) or not fleet.answering(), (
            "a replica has less than no request"
        )
    for call in calls:
        fleet.release(call, served=False)
    assert fleet.outstanding() == 0
    for replica in ("r1", "r2", "r3"):
        fleet.replicas_are(frozenset({replica}))
        fleet.heard(replica, news_of())
        assert not fleet.is_(partial(seats.full, 1)), f"{replica} still counts a request"


def test_calls_placed_from_many_threads_are_all_counted() -> None:
    fleet = _fleet(*BOTH)

    def churn() -> None:
        for _ in range(200):
            call = a_call(ACME)
            fleet.place(call, BOTH)
            fleet.routed(call, R2)
            fleet.release(call, served=True)

    threads = [Thread(target=churn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert fleet.outstanding() == 0
    assert not fleet.is_(partial(seats.full, 1))
