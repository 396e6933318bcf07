"""Limits over several gateways: simulated, with reports that are late or lost."""

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.control.authority import LEARNING_S, SILENT_S, Authority
from serve_app.tenancy.allot import NOTHING, Report, Subject
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Ask, Tally

SUBJECT: Subject = ("tenant", "acme")


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Gateway:
    id: str
    tally: Tally
    admitted: list[float] = field(default_factory=list)

    def sync(self, authority: Authority, now: float, *, lost: bool = False) -> None:
        shares = authority.share(Report(self.id, {SUBJECT: self.tally.claim(now)}))
        if not lost:
            self.tally.share = shares[SUBJECT]

    def offer(self, now: float, ask: Ask) -> bool:
        if self.tally.short(ask, now) is not None:
            return False
        self.tally.charge(ask, now)
        self.admitted.append(now)
        return True


def _site(limits: Limits, gateways: int) -> tuple[Clock, Authority, list[Gateway]]:
    clock = Clock()
    authority = Authority(clock)
    clock.now += 2 * LEARNING_S
    return clock, authority, [Gateway(f"g{n}", Tally(limits, clock.now)) for n in range(gateways)]


def _most_in_a_minute(admitted: list[float]) -> int:
    ordered = sorted(admitted)
    return max(
        (sum(begin <= at < begin + 60 for at in ordered[n:]) for n, begin in enumerate(ordered)),
        default=0,
    )


def _run(gateways: int, rates: list[float], seconds: int, loss: float = 0.0) -> list[Gateway]:
    """Requests at ``rates`` a second, by gateway, against 600 a minute; a report each 0.25 s."""
    clock, authority, site = _site(Limits(requests_per_minute=600), gateways)
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


EVENTS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["sync", "lost", "ask", "end", "pass"]),
        st.integers(1, 9),
    ),
    max_size=120,
)


@given(EVENTS, st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_whatever_happens_in_whatever_order_no_limit_is_passed(
    events: list[tuple[int, str, int]], limit: int
) -> None:
    clock, authority, site = _site(Limits(concurrent_requests=limit, tokens_per_minute=20), 3)
    running: list[list[tuple[Ask, int]]] = [[], [], []]
    for place, event, amount in events:
        gateway = site[place]
        if event in ("sync", "lost"):
            gateway.sync(authority, clock.now, lost=event == "lost")
        elif event == "ask" and gateway.tally.short(Ask(amount, None), clock.now) is None:
            ask = Ask(amount, None)
            running[place].append((ask, gateway.tally.charge(ask, clock.now)))
        elif event == "end" and running[place]:
            ask, second = running[place].pop()
            gateway.tally.settle(ask, second, ask.tokens, clock.now)
        elif event == "pass":
            clock.now += amount / 9 * SILENT_S / 4
            for one in site:
                one.sync(authority, clock.now)
        used = [one.tally.used(clock.now) for one in site]
        assert sum(requests for _, _, requests, _ in used) <= limit
        assert sum(tokens for _, tokens, _, _ in used) <= 20


def test_an_adapter_in_flight_on_two_gateways_is_one() -> None:
    clock, authority, (first, second) = _site(Limits(concurrent_adapters=2), 2)
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
        second.tally.short(b, clock.now)
        second.sync(authority, clock.now)
        first.sync(authority, clock.now)
    assert second.offer(clock.now, b)
    for _ in range(4):
        first.sync(authority, clock.now)
        second.sync(authority, clock.now)
    assert not first.offer(clock.now, c)
    assert authority.used(SUBJECT)[3] == 2


def test_what_a_gateway_that_died_ran_is_free_again_in_seconds() -> None:
    clock, authority, (first, second) = _site(Limits(concurrent_requests=3), 2)
    first.sync(authority, clock.now)
    assert all(first.offer(clock.now, Ask(1, None)) for _ in range(3))
    first.sync(authority, clock.now)
    second.sync(authority, clock.now)
    assert not second.offer(clock.now, Ask(1, None))
    clock.now += SILENT_S + 1
    second.sync(authority, clock.now)
    assert second.offer(clock.now, Ask(1, None))


def test_a_new_authority_learns_what_is_held_before_it_gives() -> None:
    clock, authority, (first, second) = _site(Limits(requests_per_minute=100), 2)
    first.sync(authority, clock.now)
    assert sum(first.offer(clock.now, Ask(1, None)) for _ in range(100)) == 100
    successor = Authority(clock)
    second.sync(successor, clock.now)
    assert sum(second.offer(clock.now, Ask(1, None)) for _ in range(100)) <= 11
    first.sync(successor, clock.now)
    second.sync(successor, clock.now)
    assert not second.offer(clock.now, Ask(1, None))


def test_a_subject_nobody_speaks_of_is_forgotten() -> None:
    clock, authority, (first, _) = _site(Limits(requests_per_minute=100), 2)
    first.sync(authority, clock.now)
    first.offer(clock.now, Ask(1, None))
    first.sync(authority, clock.now)
    assert authority.used(SUBJECT)[0] == 1
    clock.now += 100
    authority.sweep()
    assert authority._told == {}
    assert authority.used(SUBJECT) == NOTHING
