"""Fair queueing over minutes of virtual time: who waits how long, and who gets how much."""

import heapq
import random
from dataclasses import dataclass, field
from statistics import quantiles

import pytest

from serve_app.routing.fair import FairQueue
from serve_app.routing.flow import Ticket
from serve_app.routing.seats import Seats
from serve_app.simulator.tenants import jain


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
    assert jain(load.used for load in loads.values()) >= 0.95


def test_backlogged_tenants_get_tokens_by_their_weights() -> None:
    loads = {"one": Load(clients=60, weight=1), "three": Load(clients=60, weight=3)}
    simulate(loads, 16, 600)
    assert loads["three"].used / loads["one"].used == pytest.approx(3, rel=0.15)
