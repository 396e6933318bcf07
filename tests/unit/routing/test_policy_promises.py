"""What the policy promises of every fleet and every adapter."""

from collections import Counter
from dataclasses import replace
from math import inf
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing.homes import Homes
from serve_app.routing.policy import Reason, Tuning, delay, explain, least_delay, totals_s
from serve_app.routing.view import ReplicaView

ADAPTER, NOW, BAND_S = "acme@0123456789ab", 100.0, 0.1
RANK = least_delay(Homes(), Tuning(band_s=BAND_S))

names = st.sampled_from([ADAPTER, "legal@0123456789ab", "x@1", "y@2"])
views = st.builds(
    ReplicaView,
    id=st.integers(0, 30).map(str),
    outstanding=st.integers(0, 6),
    capacity=st.integers(1, 4),
    holds=st.frozensets(names),
    active=st.frozensets(names),
    loading=st.dictionaries(names, st.floats(NOW - 1, NOW + 2)),
    max_loras=st.integers(1, 3),
    kv_usage=st.floats(0, 1),
    waiting_tokens=st.integers(0, 4000),
    alive=st.booleans(),
)
fleets = st.lists(views, max_size=8, unique_by=lambda view: view.id)
adapters = st.one_of(st.none(), names)


@given(adapters, fleets)
def test_every_replica_is_ranked_once(adapter: str | None, fleet: list[ReplicaView]) -> None:
    assert sorted(view.id for view in RANK(adapter, fleet, NOW)) == sorted(r.id for r in fleet)


def _total_s(adapter: str | None, view: ReplicaView) -> float:
    (total_s,) = totals_s(adapter, [view], NOW)
    return total_s


@given(adapters, fleets)
def test_the_dead_come_last(adapter: str | None, fleet: list[ReplicaView]) -> None:
    order = [view.alive for view in RANK(adapter, fleet, NOW)]
    assert order == sorted(order, reverse=True)


@given(adapters, fleets)
def test_what_is_computed_beforehand_is_what_the_causes_add_up_to(
    adapter: str | None, fleet: list[ReplicaView]
) -> None:
    for view in fleet:
        summed_s = delay(adapter, view, NOW).total_s if view.alive else inf
        assert _total_s(adapter, view) == pytest.approx(summed_s)


@given(adapters, fleets.filter(lambda fleet: any(view.alive for view in fleet)))
def test_nobody_is_sent_where_it_waits_longer_than_the_band_beyond_the_best(
    adapter: str | None, fleet: list[ReplicaView]
) -> None:
    best_s = min(_total_s(adapter, view) for view in fleet if view.alive)
    chosen = RANK(adapter, fleet, NOW)[0]
    assert _total_s(adapter, chosen) <= best_s + BAND_S


@given(names, fleets)
def test_no_full_replica_is_chosen_while_an_equally_warm_one_is_idle(
    adapter: str, fleet: list[ReplicaView]
) -> None:
    fleet = [replace(view, active=frozenset(), loading={}, waiting_tokens=0) for view in fleet]
    order = RANK(adapter, fleet, NOW)
    if not order or not order[0].alive or order[0].outstanding < order[0].capacity:
        return
    warm = adapter in order[0].holds
    for view in order[1:]:
        assert not (view.alive and view.utilisation == 0 and (adapter in view.holds) == warm)


@given(adapters, fleets.filter(bool))
def test_a_replica_never_costs_less_by_more_load(
    adapter: str | None, fleet: list[ReplicaView]
) -> None:
    first = fleet[0]
    loaded = replace(
        first, outstanding=first.outstanding + 1, waiting_tokens=first.waiting_tokens + 10
    )
    assert _total_s(adapter, loaded) >= _total_s(adapter, first)


@given(adapters, fleets, st.randoms(use_true_random=False))
def test_the_order_in_which_replicas_are_listed_decides_nothing(
    adapter: str | None, fleet: list[ReplicaView], random: Random
) -> None:
    shuffled = list(fleet)
    random.shuffle(shuffled)
    assert RANK(adapter, shuffled, NOW) == RANK(adapter, fleet, NOW)


@given(names, fleets.filter(bool))
def test_a_reason_says_what_is_known_of_the_fleet(adapter: str, fleet: list[ReplicaView]) -> None:
    known = any(adapter in view.known for view in fleet if view.alive)
    for view in fleet:
        reason = explain(adapter, view, fleet, Homes(), NOW).reason
        warm = reason in (Reason.RESIDENT, Reason.LOADING)
        assert warm == (adapter in view.known)
        assert (reason is Reason.SPILL) == (not warm and known)


@given(st.integers(2, 9), st.integers(0, 8))
def test_when_a_replica_leaves_only_its_own_adapters_move(size: int, leaves: int) -> None:
    fleet = [f"r{number}" for number in range(size)]
    gone = fleet[leaves % size]
    rest = [replica for replica in fleet if replica != gone]
    homes = Homes()
    for adapter in (f"adapter-{number}" for number in range(50)):
        before = homes.first(adapter, fleet)
        assert before == gone or homes.first(adapter, rest) == before


def test_homes_are_spread_evenly() -> None:
    homes = Homes()
    found = Counter(homes.first(f"a-{n}", ["r1", "r2", "r3", "r4"]) for n in range(2000))
    assert min(found.values()) > 400


def test_every_process_finds_the_same_home() -> None:
    homes = [Homes().first(f"adapter-{n}", ["r1", "r2", "r3", "r4"]) for n in range(6)]
    assert homes == ["r1", "r2", "r4", "r3", "r3", "r3"]


def test_a_small_memory_of_homes_finds_the_same_ones() -> None:
    small, large, ids = Homes(adapters=1), Homes(), ["r1", "r2", "r3"]
    for adapter in ("a", "b", "a", "c", "a"):
        assert small.order(adapter, ids) == large.order(adapter, ids)
