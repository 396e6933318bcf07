from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.routing.policy import Reason, ReplicaView, home_of, rank

ADAPTER = "acme@0123456789ab"


def _replica(id_: str, outstanding: int = 0, **known: bool | int) -> ReplicaView:
    view = ReplicaView(id_, outstanding, capacity=4, resident=False)
    return replace(view, **known)  # type: ignore[arg-type]


R1, R2, R3, R4 = (_replica(f"r{number}") for number in range(1, 5))
HOME = home_of(ADAPTER, [R1, R2, R3, R4])
AWAY = [replica for replica in (R1, R2, R3, R4) if replica.id != HOME]
HOLDER = _replica("holder", resident=True)

DECISIONS = {
    "a resident replica wins over an idle one": (
        [_replica("idle"), replace(HOLDER, outstanding=3)],
        ("holder", Reason.RESIDENT),
    ),
    "of two holders the less loaded wins": (
        [replace(HOLDER, outstanding=2), _replica("other holder", 1, resident=True)],
        ("other holder", Reason.RESIDENT),
    ),
    "an overloaded holder gives way": (
        [replace(HOLDER, outstanding=4), _replica("idle")],
        ("idle", Reason.SPILL),
    ),
    "a full fleet still serves where it is least loaded": (
        [replace(HOLDER, outstanding=9), _replica("less full", 5)],
        ("less full", Reason.SPILL),
    ),
    "an overloaded holder is kept if all others are fuller": (
        [_replica("fuller", 9), replace(HOLDER, outstanding=5)],
        ("holder", Reason.RESIDENT),
    ),
    "a dead holder is no holder": (
        [replace(HOLDER, alive=False), _replica("alive", 3)],
        ("alive", Reason.HOME),
    ),
    "a replica never heard of is no choice while another lives": (
        [_replica("unknown", alive=False), _replica("alive", 9)],
        ("alive", Reason.HOME),
    ),
    "an idle fleet sends an adapter home": ([R1, R2, R3, R4], (HOME, Reason.HOME)),
    "a busy home is passed over": (
        [_replica(str(HOME), 1), AWAY[0]],
        (AWAY[0].id, Reason.COLD),
    ),
    "among equals the one with fewest adapters is chosen": (
        [_replica(str(HOME), adapters=3), replace(AWAY[0], adapters=2)],
        (AWAY[0].id, Reason.COLD),
    ),
}


@pytest.mark.parametrize(("replicas", "first"), DECISIONS.values(), ids=DECISIONS)
def test_the_policy_decides_that(replicas: list[ReplicaView], first: tuple[str, Reason]) -> None:
    chosen = rank(ADAPTER, replicas)[0]
    assert (chosen.replica, chosen.reason) == first


def test_the_base_goes_where_least_is_going_on() -> None:
    replicas = [replace(HOLDER, id="busy", outstanding=2), replace(HOLDER, id="calm")]
    chosen = rank(None, replicas)[0]
    assert (chosen.replica, chosen.reason) == ("calm", Reason.RESIDENT)


def test_without_replicas_there_is_no_choice() -> None:
    assert rank(ADAPTER, []) == []
    assert home_of(ADAPTER, []) is None


def test_an_adapter_has_no_home_on_the_dead() -> None:
    dead = [replace(replica, alive=False) for replica in (R1, R2, R3, R4)]
    assert home_of(ADAPTER, dead) is None
    assert home_of(ADAPTER, [*dead[:3], R4]) == "r4"


views = st.builds(
    ReplicaView,
    id=st.integers(0, 30).map(str),
    outstanding=st.integers(0, 6),
    capacity=st.integers(1, 4),
    resident=st.booleans(),
    adapters=st.integers(0, 3),
    alive=st.booleans(),
)
fleets = st.lists(views, max_size=8, unique_by=lambda view: view.id)
adapters = st.sampled_from([ADAPTER, "legal@0123456789ab", None])


@given(adapters, fleets)
def test_every_replica_is_ranked_once(adapter: str | None, fleet: list[ReplicaView]) -> None:
    assert sorted(choice.replica for choice in rank(adapter, fleet)) == sorted(r.id for r in fleet)


@given(adapters, fleets)
def test_the_dead_come_last(adapter: str | None, fleet: list[ReplicaView]) -> None:
    alive = {replica.id: replica.alive for replica in fleet}
    order = [alive[choice.replica] for choice in rank(adapter, fleet)]
    assert order == sorted(order, reverse=True)


@given(adapters, fleets)
def test_holders_with_room_come_before_all_others(
    adapter: str | None, fleet: list[ReplicaView]
) -> None:
    warm = {r.id: r.resident and r.outstanding < r.capacity for r in fleet if r.alive}
    order = [warm[choice.replica] for choice in rank(adapter, fleet) if choice.replica in warm]
    assert order == sorted(order, reverse=True)


@given(adapters, fleets.filter(bool))
def test_a_replica_never_gains_by_more_load(adapter: str | None, fleet: list[ReplicaView]) -> None:
    first = fleet[0]
    before = [choice.replica for choice in rank(adapter, fleet)].index(first.id)
    loaded = [replace(first, outstanding=first.outstanding + 1), *fleet[1:]]
    assert [choice.replica for choice in rank(adapter, loaded)].index(first.id) >= before


@given(adapters, fleets, st.randoms(use_true_random=False))
def test_the_order_in_which_replicas_are_listed_decides_nothing(
    adapter: str | None, fleet: list[ReplicaView], random: object
) -> None:
    shuffled = list(fleet)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert rank(adapter, shuffled) == rank(adapter, fleet)


@given(adapters, fleets)
def test_a_reason_says_what_is_known_of_the_fleet(
    adapter: str | None, fleet: list[ReplicaView]
) -> None:
    known = {replica.id: replica for replica in fleet}
    held = any(replica.resident and replica.alive for replica in fleet)
    for choice in rank(adapter, fleet):
        assert (choice.reason is Reason.RESIDENT) == known[choice.replica].resident
        if choice.reason in (Reason.HOME, Reason.COLD):
            assert not held
        if choice.reason is Reason.SPILL:
            assert held


@given(st.integers(2, 9), st.integers(0, 8))
def test_when_a_replica_leaves_only_its_own_adapters_move(size: int, leaves: int) -> None:
    fleet = [_replica(f"r{number}") for number in range(size)]
    gone = fleet[leaves % size]
    rest = [replica for replica in fleet if replica is not gone]
    for adapter in (f"adapter-{number}" for number in range(50)):
        before = home_of(adapter, fleet)
        assert before == gone.id or home_of(adapter, rest) == before


def test_homes_are_spread_evenly() -> None:
    homes = Counter(home_of(f"adapter-{number}", [R1, R2, R3, R4]) for number in range(2000))
    assert set(homes) == {"r1", "r2", "r3", "r4"}
    assert min(homes.values()) > 400


def test_every_process_finds_the_same_home() -> None:
    homes = [home_of(f"adapter-{number}", [R1, R2, R3, R4]) for number in range(6)]
    assert homes == ["r1", "r2", "r4", "r3", "r3", "r3"]
