import pytest

from serve_app.engine.failures import MOST, Failures
from serve_app.engine.retirements import LINGER_S, Reason, Retirements
from serve_app.engine.retirements import MOST as MOST_RETIRED
from serve_app.errors import AdapterRefused


def _refuses(failures: Failures, name: str, now: float) -> bool:
    try:
        failures.raise_for(name, now)
    except AdapterRefused:
        return True
    return False


def test_a_failure_pauses_twice_as_long_each_time_up_to_five_minutes() -> None:
    failures, now, pauses = Failures(), 0.0, []
    for _ in range(6):
        failures.remember("a", AdapterRefused("bad"), now)
        pause = next(s for s in range(1000) if not _refuses(failures, "a", now + s))
        pauses.append(pause)
        now += pause
    assert pauses == [30, 60, 120, 240, 300, 300]


def test_a_failure_is_told_as_it_was() -> None:
    failures = Failures()
    failures.remember("a", AdapterRefused("bad", code="adapter_bad"), 0.0)
    with pytest.raises(AdapterRefused, match="bad") as refused:
        failures.raise_for("a", 1.0)
    assert refused.value.code == "adapter_bad"
    assert failures.reasons(1.0) == {"a": "bad"}
    assert failures.reasons(31.0) == {}
    failures.raise_for("b", 1.0)


def test_what_worked_starts_over() -> None:
    failures = Failures()
    failures.remember("a", AdapterRefused("bad"), 0.0)
    failures.forget("a")
    failures.raise_for("a", 0.0)
    failures.remember("a", AdapterRefused("bad"), 0.0)
    assert not _refuses(failures, "a", 30.0)


def test_failures_do_not_pile_up() -> None:
    failures = Failures()
    for number in range(MOST + 1):
        failures.remember(str(number), AdapterRefused("bad"), 0.0)
    assert len(failures.reasons(1.0)) == MOST


def test_a_superseded_version_is_retired_for_a_moment_and_a_removed_one_for_good() -> None:
    retirements = Retirements()
    retirements.retire("old", 0.0)
    retirements.retire("gone", 0.0, abort_after_s=60.0)
    old, gone = retirements.of("old", LINGER_S), retirements.of("gone", 1e9)
    assert old is not None
    assert (old.reason, old.abort_at) == (Reason.RETIRED, None)
    assert gone is not None
    assert (gone.reason, gone.abort_at) == (Reason.REMOVED, 60.0)
    assert retirements.of("old", LINGER_S + 1) is None


def test_a_version_that_is_back_is_not_retired() -> None:
    retirements = Retirements()
    retirements.retire("a", 0.0, abort_after_s=0.0)
    retirements.restore("a")
    assert retirements.of("a", 0.0) is None


def test_retirements_do_not_pile_up() -> None:
    retirements = Retirements()
    for number in range(MOST_RETIRED + 1):
        retirements.retire(str(number), 0.0, abort_after_s=0.0)
    assert retirements.of("0", 0.0) is None
    assert retirements.of("1", 0.0) is not None
