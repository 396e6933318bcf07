"""Fair queueing, decided and simulated in virtual time."""

import heapq
import random
from dataclasses import dataclass, field
from statistics import quantiles

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.routing.fair import FORGET_FROM, LATELY_S, FairQueue
from serve_app.routing.flow import Ticket
from serve_app.routing.seats import SPARE, Seats


def test_a_tenant_alone_may_fill_every_seat_and_a_few_more() -> None:
    queue, seats = FairQueue(), Seats(20)
    for _ in range(50):
        queue.arrive("a", 1, 100, 0.0)
    entered = 0
    while queue.next(seats, 0.0):
        entered += 1
    assert entered == 20 + 20 // SPARE
    assert (queue.seated, queue.waiting) == (22, 28)


def test_while_others_are_about_seats_are_kept_for_those_below_their_share() -> None:
    queue, seats = FairQueue(), Seats(20)
    queue.arrive("quiet", 1, 100, 0.0)
    first = queue.next(seats, 0.0)
    assert first is not None
    for _ in range(50):
        queue.arrive("noisy", 1, 100, 0.0)
    while queue.next(seats, 0.2):
        pass
    assert queue.seated == 20 - 20 // SPARE
    newcomer = queue.arrive("quiet", 1, 100, 0.3)
    assert queue.next(seats, 0.3) is newcomer
    queue.leave(first, 100, 0.3)
    queue.leave(newcomer, 100, 0.3)
    while queue.next(seats, 0.5 + LATELY_S):
        pass
    assert queue.seated == 20 + 20 // SPARE, "nobody else is about any more"


def test_another_gateway_counts_for_its_part_at_most() -> None:
    queue = FairQueue()
    for _ in range(50):
        queue.arrive("a", 1, 1, 0.0)
    while queue.next(Seats(20, taken=30, gateways=2), 0.0):
        pass
    assert queue.seated == 10 + 20 // SPARE


def test_what_was_used_more_than_reckoned_is_paid_by_the_next() -> None:
    queue, seats = FairQueue(), Seats(1)
    for tenant in ("a", "b"):
        for _ in range(4):
            queue.arrive(tenant, 1, 10, 0.0)
    order: list[str] = []
    while ticket := queue.next(seats, 0.0):
        order.append(ticket.flow.tenant)
        later = queue.arrive(ticket.flow.tenant, 1, 10, 0.0) if len(order) < 8 else None
        queue.leave(ticket, 30 if ticket.flow.tenant == "a" else 10, 0.0)
        if later is None:
            break
    assert order.count("b") >= order.count("a")


@dataclass
class Load:
    """One tenant: how many clients ask one after the other, or requests a second at random, how
    long each request lasts and what it costs."""

    clients: int = 0
    per_s: float = 0.0
    tokens: tuple[int, int] = (50, 150)
    weight: float = 1.0
    waits: list[float] = field(default_factory=list)
    used: int = 0


class Simulation:
    """Requests hold a seat for a hundredth of a second a token, in virtual time."""

    def __init__(self, loads: dict[str, Load], seats: int) -> None:
        self._loads = loads
        self._seats = Seats(seats)
        self._dice = random.Random(1)
        self._queue = FairQueue()
        self._events: list[tuple[float, int, str, Ticket | None, int]] = []
        self._came: dict[int, tuple[float, int]] = {}
        self._number = 0

    def run(self, seconds: float) -> None:
        for tenant, load in self._loads.items():
            for _ in range(load.clients):
                self._push(self._dice.random(), tenant)
            if load.per_s:
                self._push(self._dice.expovariate(load.per_s), tenant)
        while self._events[0][0] <= seconds:
            now, _, tenant, ticket, tokens = heapq.heappop(self._events)
            if ticket is None:
                self._arrive(tenant, now)
            else:
                self._leave(tenant, ticket, tokens, now)
            while entered := self._queue.next(self._seats, now):
                at, lasts = self._came.pop(id(entered))
                self._loads[entered.flow.tenant].waits.append(now - at)
                self._push(now + lasts / 100, entered.flow.tenant, entered, lasts)

    def _arrive(self, tenant: str, now: float) -> None:
        load = self._loads[tenant]
        ticket = self._queue.arrive(tenant, load.weight, 100, now)
        self._came[id(ticket)] = now, self._dice.randint(*load.tokens)
        if load.per_s:
            self._push(now + self._dice.expovariate(load.per_s), tenant)

    def _leave(self, tenant: str, ticket: Ticket, tokens: int, now: float) -> None:
        self._queue.leave(ticket, tokens, now)
        self._loads[tenant].used += tokens
        if self._loads[tenant].clients:
            self._push(now, tenant)

    def _push(self, at: float, tenant: str, ticket: Ticket | None = None, tokens: int = 0) -> None:
        self._number += 1
        heapq.heappush(self._events, (at, self._number, tenant, ticket, tokens))


def simulate(loads: dict[str, Load], seats: int, seconds: float) -> None:
    Simulation(loads, seats).run(seconds)


def _p99(waits: list[float]) -> float:
    return quantiles(waits, n=100)[98]


def jain(shares: list[float]) -> float:
    """1 if all are alike, 1/n if one has everything (Jain, Chiu and Hawe, 1984)."""
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


def test_a_tenant_at_ten_times_its_share_does_not_make_another_wait() -> None:
    """16 seats serve 16 requests a second; a tenant's share is 8, and the quiet one asks for 3."""
    quiet_alone = {"quiet": Load(per_s=3)}
    simulate(quiet_alone, 16, 400)
    together = {"quiet": Load(per_s=3), "noisy": Load(clients=200)}
    simulate(together, 16, 400)
    assert max(quiet_alone["quiet"].waits) == 0
    assert len(together["quiet"].waits) > 1000
    assert _p99(together["quiet"].waits) < 0.15, "of a request that lasts a second"
    assert together["noisy"].used > 8 * 400 * 100, "what the quiet one leaves is not wasted"


def test_without_turns_it_would() -> None:
    """The same, first come first served, as an engine does it: what this is for."""
    first_come = {"all": Load(clients=200)}
    simulate(first_come, 16, 100)
    assert _p99(first_come["all"].waits) > 5


def test_equals_that_are_backlogged_get_equal_tokens_however_they_send() -> None:
    loads = {
        "few long": Load(clients=8, tokens=(300, 500)),
        "many short": Load(clients=100, tokens=(10, 30)),
        "usual": Load(clients=30),
        "more of the usual": Load(clients=60),
    }
    simulate(loads, 16, 600)
    assert jain([load.used for load in loads.values()]) >= 0.95


def test_backlogged_tenants_get_tokens_by_their_weights() -> None:
    loads = {"one": Load(clients=60, weight=1), "three": Load(clients=60, weight=3)}
    simulate(loads, 16, 600)
    assert loads["three"].used / loads["one"].used == pytest.approx(3, rel=0.15)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "over", "give up", "pass"]),
        st.sampled_from("abc"),
        st.integers(1, 300),
    ),
    max_size=150,
)


class Crowd:
    """A queue and everybody in it."""

    def __init__(self) -> None:
        self.queue = FairQueue()
        self.now = 0.0
        self.waiting: list[Ticket] = []
        self.seated: list[Ticket] = []

    def do(self, step: str, tenant: str, amount: int) -> None:
        if step == "arrive":
            self.waiting.append(self.queue.arrive(tenant, 1 + amount % 3, amount, self.now))
        elif step == "over" and self.seated:
            self.queue.leave(self.seated.pop(amount % len(self.seated)), amount, self.now)
        elif step == "give up" and self.waiting:
            self.queue.leave(self.waiting.pop(amount % len(self.waiting)), 0, self.now)
        elif step == "pass":
            self.now += amount / 30

    def let_in(self, seats: Seats) -> None:
        while entered := self.queue.next(seats, self.now):
            self.waiting.remove(entered)
            self.seated.append(entered)

    def go(self) -> None:
        for ticket in (*self.waiting, *self.seated):
            self.queue.leave(ticket, 0, self.now)


@given(STEPS, st.integers(1, 12))
@settings(deadline=None)
def test_whatever_happens_seats_are_kept_and_nobody_is_forgotten(
    steps: list[tuple[str, str, int]], capacity: int
) -> None:
    crowd, spare = Crowd(), max(1, capacity // SPARE)
    for step in steps:
        crowd.do(*step)
        crowd.let_in(Seats(capacity))
        queue = crowd.queue
        assert (queue.seated, queue.waiting) == (len(crowd.seated), len(crowd.waiting))
        assert queue.seated <= capacity + spare
        if crowd.waiting:
            assert queue.seated >= capacity - spare, "no seat stays empty"
    crowd.go()
    assert (crowd.queue.seated, crowd.queue.waiting, crowd.queue._backlog) == (0, 0, {})
    later = crowd.now + 3 * LATELY_S
    for number in range(FORGET_FROM):
        crowd.queue.leave(crowd.queue.arrive(f"passer-by {number}", 1, 1, later), 0, later)
    assert not {"a", "b", "c"} & crowd.queue._flows.keys(), "who owes nothing is forgotten"


def backlog(queue: FairQueue, seats: Seats, waiting: int) -> Ticket:
    """Two a second are over while so many wait; the last of those that wait."""
    last = [queue.arrive("a", 1, 10, 0.0) for _ in range(waiting + 12)][-1]
    for number in range(12):
        seated = queue.next(seats, number * 0.5)
        assert seated is not None
        queue.leave(seated, 10, number * 0.5)
    return last


def test_what_is_to_be_waited_is_told_by_how_fast_requests_are_over() -> None:
    queue, seats = FairQueue(), Seats(1)
    last = backlog(queue, seats, waiting=8)
    assert queue.expected_s(last, 6.0) == pytest.approx(4, rel=0.3), "eight at two a second"


def test_how_fast_requests_were_over_that_nobody_waited_for_refuses_nobody() -> None:
    """A tenant that asks now and then is answered now and then: so says nothing of a burst."""
    queue, seats = FairQueue(), Seats(10)
    for number in range(20):
        ticket = queue.arrive("a", 1, 10, number * 0.25)
        assert queue.next(seats, number * 0.25) is ticket
        queue.leave(ticket, 10, number * 0.25)
    burst = [queue.arrive("a", 1, 10, 5.0) for _ in range(100)]
    assert queue.refused_after_s(burst[-1], max_wait_s=2.0, max_waiting=1000, now=5.0) is None
