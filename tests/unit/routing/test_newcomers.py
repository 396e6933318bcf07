"""What a replica that has just come loads before it is asked for it."""

from dataclasses import replace

import pytest

from serve_app.adapters.version import Version
from serve_app.routing.fleet import Fleet
from serve_app.routing.homes import Homes
from serve_app.routing.messages import Call
from serve_app.routing.newcomers import Newcomers, new_home
from serve_app.routing.policy import TUNED
from serve_app.routing.view import ReplicaView
from tests.unit.fakes import a_call, a_version, news_of

OLD, NEW = ReplicaView("old", capacity=8, holds={"a@1"}), ReplicaView("new", capacity=8)
NAMES = [f"adapter-{n}@1" for n in range(40)]
ITS_OWN = next(name for name in NAMES if Homes().first(name, ("old", "new")) == "new")
ANOTHERS = next(name for name in NAMES if Homes().first(name, ("old", "new")) == "old")


def _new_home(adapter: str, chosen: str, old: ReplicaView, new: ReplicaView) -> str | None:
    found = new_home(adapter, chosen, [old, new], Homes(), {"new": 5.0})
    return found.id if found else None


TABLE: dict[str, tuple[str, str, ReplicaView, str | None]] = {
    "an adapter whose home it has become": (ITS_OWN, "old", NEW, "new"),
    "an adapter whose home is elsewhere": (ANOTHERS, "old", NEW, None),
    "a request that went there anyway": (ITS_OWN, "new", NEW, None),
    "an adapter it holds": (ITS_OWN, "old", replace(NEW, holds={ITS_OWN}), None),
    "one that loads another at the moment": (
        ITS_OWN,
        "old",
        replace(NEW, loading={"a": 1.0}),
        None,
    ),
    "one that has not told": (ITS_OWN, "old", replace(NEW, alive=False), None),
}


@pytest.mark.parametrize(("adapter", "chosen", "new", "expected"), TABLE.values(), ids=TABLE)
def test_what_a_new_replica_loads_of(
    adapter: str, chosen: str, new: ReplicaView, expected: str | None
) -> None:
    assert _new_home(adapter, chosen, OLD, new) == expected


@pytest.mark.parametrize(
    ("new", "moves"),
    [
        ({"old": 5.0, "new": 5.0}, False),
        ({"old": 4.0, "new": 5.0}, True),
        ({"old": 5.0, "new": 4.0}, False),
        ({"old": 5.0}, False),
        ({}, False),
        ({"gone": 5.0}, False),
    ],
)
def test_an_adapter_moves_only_to_a_replica_that_came_later(
    new: dict[str, float], moves: bool
) -> None:
    found = new_home(ITS_OWN, "old", [OLD, NEW], Homes(), new)
    assert (found is NEW) == moves


def test_a_replica_is_new_for_a_while() -> None:
    newcomers = Newcomers(60.0)
    newcomers.came(["a"], 0.0)
    newcomers.came(["b"], 30.0)
    assert set(newcomers.at(59.9)) == {"a", "b"}
    assert set(newcomers.at(60.0)) == {"b"}
    assert not newcomers.at(90.0)


class Grown:
    """A gateway's view of a fleet to which a replica came after a while."""

    def __init__(self, after_s: float) -> None:
        self.now = 0.0
        self.fetched: list[tuple[str, str]] = []
        self.fleet = Fleet("me", lambda _: None, self._fetch, clock=lambda: self.now)
        self.fleet.replicas_are(frozenset({"old"}))
        self.fleet.heard("old", news_of(NAMES, capacity=8))
        self.now += after_s
        self.fleet.replicas_are(frozenset({"old", "new"}))
        self.fleet.heard("new", news_of(capacity=8))

    def placed(self, version: Version) -> str:
        call: Call = a_call(version)
        self.fleet.place(call, ("old", "new"))
        assert call.choice is not None
        self.fleet.release(call, served=True)
        return call.choice.replica

    def _fetch(self, version: Version, replica: str) -> None:
        self.fetched.append((version.name, replica))


def _its_own(number: int) -> Version:
    versions = (a_version(f"adapter-{n}") for n in range(1000))
    own = [one for one in versions if Homes().first(one.name, ("old", "new")) == "new"]
    return own[number]


def _held_by_old(version: Version, grown: Grown) -> Version:
    grown.fleet.heard("old", news_of({version.name, *NAMES}, capacity=8))
    return version


def test_an_adapter_goes_home_once_it_is_there_and_nobody_waits_for_it() -> None:
    grown = Grown(after_s=100.0)
    version = _held_by_old(_its_own(0), grown)
    assert [grown.placed(version) for _ in range(3)] == ["old"] * 3
    assert grown.fetched == [(version.name, "new")], "asked for once"
    grown.fleet.heard("new", news_of({version.name}, capacity=8))
    assert grown.placed(version) == "new"


def test_it_loads_one_adapter_at_a_time() -> None:
    grown = Grown(after_s=100.0)
    first, second = _its_own(0), _its_own(1)
    grown.fleet.heard("old", news_of({first.name, second.name}, capacity=8))
    for version in (first, second):
        grown.placed(version)
    assert grown.fetched == [(first.name, "new")]
    grown.fleet.heard("new", news_of({first.name}, capacity=8))
    grown.placed(second)
    assert grown.fetched == [(first.name, "new"), (second.name, "new")]


def test_after_a_while_it_loads_what_comes_to_it_and_no_more() -> None:
    grown = Grown(after_s=100.0)
    version = _held_by_old(_its_own(0), grown)
    grown.now += TUNED.new_replica_s
    assert grown.placed(version) == "old"
    assert grown.fetched == []


def test_of_replicas_that_came_together_none_loads_what_another_serves() -> None:
    grown = Grown(after_s=0.0)
    version = _held_by_old(_its_own(0), grown)
    grown.placed(version)
    assert grown.fetched == []
