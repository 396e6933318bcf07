from serve_app.adapters.report import Held, Report, Residence
from serve_app.control.fleet import SILENCE_S, Fleet


def _report(replica: str, revision: int, *names: str) -> Report:
    return Report(replica, revision, tuple(Held(name, Residence.RESIDENT) for name in names))


def test_the_holders_of_a_version_are_those_that_said_so_last() -> None:
    fleet = Fleet(0)
    fleet.hear(_report("r2", 1, "a@1", "b@1"), 0)
    fleet.hear(_report("r1", 1, "a@1"), 0)
    assert [place.replica for place in fleet.holders("a@1")] == ["r1", "r2"]
    fleet.hear(_report("r2", 1, "b@1"), 1)
    assert [place.replica for place in fleet.holders("a@1")] == ["r1"]
    assert fleet.holders("never@1") == []


def test_a_silent_replica_is_forgotten() -> None:
    fleet = Fleet(0)
    fleet.hear(_report("r1", 1, "a@1"), 0)
    fleet.expire(SILENCE_S)
    assert fleet.holds("a@1")
    fleet.expire(SILENCE_S + 1)
    assert not fleet.holds("a@1")


def test_a_version_is_released_when_all_that_live_have_heard_and_none_holds_it() -> None:
    fleet = Fleet(0)
    now = SILENCE_S
    fleet.hear(_report("r1", 5), now)
    fleet.hear(_report("r2", 4), now)
    assert not fleet.released("a@1", 5, now)
    fleet.hear(_report("r2", 5, "a@1"), now)
    assert not fleet.released("a@1", 5, now)
    fleet.hear(_report("r2", 6), now)
    assert fleet.released("a@1", 5, now)


def test_nothing_is_released_before_everybody_had_the_time_to_report() -> None:
    fleet = Fleet(100)
    assert not fleet.released("a@1", 1, 100 + SILENCE_S - 1)
    assert fleet.released("a@1", 1, 100 + SILENCE_S)
