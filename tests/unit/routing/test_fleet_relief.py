from dataclasses import replace

from serve_app.adapters.version import Version
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, News
from serve_app.routing.policy import Reason
from serve_app.routing.view import Costs
from tests.unit.fakes import a_call, a_version, news_of
from tests.unit.residency_bench import Clock

R1, R2, BOTH = "r1", "r2", ("r1", "r2")
ACME = a_version("acme")
COSTS = Costs(stage_s=1.0, disk_s=0.5, prompt_token_s=0.001, seat_s=8.0)


class Copied(list[str]):
    """Where copies were asked for."""

    def __call__(self, _version: Version, replica: str) -> None:
        self.append(replica)


def _fleet(clock: Clock, copy: Copied | None = None, **news: News) -> Fleet:
    fleet = Fleet("me", lambda _: None, copy, clock=clock)
    fleet.replicas_are(frozenset(news))
    for replica, one in news.items():
        fleet.heard(replica, one)
    return fleet


def _placed(fleet: Fleet, prompt_tokens: int = 0) -> Call:
    call = replace(a_call(ACME), prompt_tokens=prompt_tokens)
    fleet.place(call, BOTH)
    return call


def _news(*holds: str, capacity: int = 10) -> News:
    return replace(news_of(holds, capacity), costs=COSTS)


def test_a_hot_adapter_is_copied_once() -> None:
    copied = Copied()
    fleet = _fleet(Clock(), copied, r1=_news(ACME.name), r2=_news())
    calls = [_placed(fleet) for _ in range(9)]
    assert {call.choice.replica for call in calls if call.choice} == {R1}
    assert copied == [R2], "asked for once, on the way since"


def test_a_copy_on_its_way_takes_calls_when_that_is_sooner() -> None:
    clock, copied = Clock(), Copied()
    fleet = _fleet(clock, copied, r1=_news(ACME.name), r2=_news())
    for _ in range(8):
        _placed(fleet)
    assert copied == [R2]
    clock.now += COSTS.load_s - 0.1
    choice = _placed(fleet).choice
    assert choice is not None
    assert (choice.replica, choice.reason) == (R2, Reason.LOADING)


def test_the_base_is_never_copied() -> None:
    copied = Copied()
    fleet = _fleet(Clock(), copied, r1=_news(), r2=_news())
    for _ in range(9):
        fleet.place(a_call(), BOTH)
    assert copied == []


def test_an_adapter_nobody_holds_is_copied_where_its_request_will_go() -> None:
    copied = Copied()
    fleet = _fleet(Clock(), copied, r1=_news(), r2=_news())
    there = fleet.prefetch(ACME)
    choice = _placed(fleet).choice
    assert choice is not None
    assert (choice.replica, choice.reason) == (there, Reason.LOADING)


def test_an_adapter_that_is_held_or_on_its_way_is_not_copied_early() -> None:
    copied = Copied()
    fleet = _fleet(Clock(), copied, r1=_news(ACME.name), r2=_news())
    assert fleet.prefetch(ACME) is None
    assert fleet.prefetch(a_version("other")) is not None
    assert fleet.prefetch(a_version("other")) is None
    assert copied == [], "whoever asks has it done"


def test_prompts_sent_count_until_the_replica_tells_its_state() -> None:
    fleet = _fleet(Clock(), r1=_news(ACME.name), r2=_news(ACME.name))
    first = _placed(fleet, prompt_tokens=1000).choice
    assert first is not None
    other = R1 if first.replica == R2 else R2
    second = _placed(fleet, prompt_tokens=10).choice
    assert second is not None
    assert second.replica == other
    fleet.heard(first.replica, _news(ACME.name))
    third = _placed(fleet)
    assert third.choice is not None
    assert third.choice.delay.queue_s == 0.0 or third.choice.replica == other


def test_a_call_that_would_wait_long_everywhere_is_refused_with_a_time_to_come_again() -> None:
    fleet = _fleet(Clock(), r1=_news(ACME.name, capacity=2), r2=_news(ACME.name, capacity=2))
    call = a_call(ACME)
    assert fleet.shed_after_s(call) is None
    for _ in range(4):
        _placed(fleet)
    after_s = fleet.shed_after_s(call)
    assert after_s is not None
    assert after_s >= 1.0


def test_a_load_that_failed_is_not_waited_for() -> None:
    fleet = _fleet(Clock(), r1=_news(), r2=_news())
    call = _placed(fleet)
    fleet.release(call, served=False)
    again = _placed(fleet).choice
    assert again is not None
    assert again.reason is Reason.HOME


def test_a_load_a_replica_tells_of_is_expected_to_take_what_loads_took_there() -> None:
    clock = Clock()
    costs = replace(COSTS, stage_s=0.5, disk_s=1.5)
    loading = replace(_news(ACME.name), loading=frozenset({ACME.name}), costs=costs)
    fleet = _fleet(clock, r1=loading, r2=_news())
    clock.now += 1.5
    fleet.heard(R1, loading)
    choice = _placed(fleet).choice
    assert choice is not None
    assert (choice.replica, choice.reason) == (R1, Reason.LOADING)
    assert abs(choice.delay.load_s - 0.52) < 1e-6


def test_a_replica_that_has_loaded_nothing_is_believed_to_load_as_others_do() -> None:
    quick = replace(COSTS, stage_s=0.0, disk_s=0.01)
    measured = replace(_news(), load_s=0.01, costs=quick)
    unmeasured = replace(_news(), costs=replace(COSTS, stage_s=0.5, disk_s=0.3))
    fleet = _fleet(Clock(), r1=measured, r2=unmeasured)
    used = set()
    for number in range(8):
        call = a_call(a_version(f"adapter-{number}"))
        fleet.place(call, BOTH)
        assert call.choice is not None
        used.add(call.choice.replica)
        fleet.release(call, served=True)
    assert used == {R1, R2}
