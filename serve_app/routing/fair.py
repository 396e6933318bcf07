"""Who enters next when the fleet is full: tenants by weight, not by how much they send. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a request starts, in virtual time,
where its tenant's last one ended; it lasts its tokens over its tenant's weight; the earliest start
enters first. A tenant that sends more only queues behind itself. Nobody's seats stay empty for it:
a tenant alone may fill them all.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

SPARE = 8
"""One seat in so many is kept for tenants below their share while several are about; a tenant
alone, or below its share, may have so many more than the engines have, so that none runs dry."""

LATELY_S = 5.0
"""A tenant is about until so long after its last request came or was over."""

LOOK_S = 0.1
"""Who is about is looked at again after so long."""


@dataclass(frozen=True, slots=True)
class Seats:
    """What the living replicas have.

    Attributes:
        capacity: places in their batches.
        taken: those that other gateways fill.
        gateways: how many gateways fill any, this one among them.
    """

    capacity: int
    taken: int = 0
    gateways: int = 1

    @property
    def of_others(self) -> int:
        """What counts as taken by other gateways: not more than their part, so that no gateway
        starves because others are quicker to fill what comes free."""
        return min(self.taken, self.capacity - self.capacity // self.gateways)


@dataclass(slots=True)
class Ticket:
    """One request's place.

    Attributes:
        cost: tokens it is reckoned to use.
        start: its start in virtual time.
    """

    flow: "Flow"
    cost: float
    start: float
    entered: bool = False


@dataclass(slots=True)
class Flow:
    """One tenant's requests, first come first served among themselves.

    Attributes:
        finish: where its last request ends, in virtual time.
        seated: how many are on their way or with the engines.
        seen: when it was about last.
    """

    tenant: str
    weight: float
    finish: float = 0.0
    seated: int = 0
    seen: float = 0.0
    waiting: deque[Ticket] = field(default_factory=deque)


class FairQueue:
    """The requests of one gateway that hold a seat or wait for one."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}
        self._virtual = 0.0
        self._over: deque[float] = deque()
        self._looked_at = float("-inf")
        self._about = (0, 0.0)
        self.seated = 0
        self.waiting = 0

    def arrive(self, tenant: str, weight: float, cost: float, now: float) -> Ticket:
        """A request comes, and waits: ``next`` lets it in."""
        self._look_about(now)
        flow = self._flows.setdefault(tenant, Flow(tenant, weight))
        flow.weight, flow.seen = weight, now
        ticket = Ticket(flow, cost, max(self._virtual, flow.finish))
        flow.finish = ticket.start + cost / weight
        flow.waiting.append(ticket)
        self.waiting += 1
        return ticket

    def next(self, seats: Seats, now: float) -> Ticket | None:
        """Let the next request in that there is a seat for; None if there is none."""
        for flow in sorted(self._queues(), key=lambda one: one.waiting[0].start):
            if self._has_seat(flow, seats, now):
                return self._enter(flow)
        return None

    def leave(self, ticket: Ticket, used: float, now: float) -> None:
        """A request is over and has used ``used`` tokens; or it waits no more, and used none."""
        flow = ticket.flow
        flow.seen = now
        flow.finish += (used - ticket.cost) / flow.weight
        if ticket.entered:
            flow.seated -= 1
            self.seated -= 1
            self._over.append(now)
        else:
            flow.waiting.remove(ticket)
            self.waiting -= 1

    def expected_s(self, ticket: Ticket, now: float) -> float:
        """Seconds a waiting request has to wait, as fast as requests were over lately."""
        while self._over and now - self._over[0] > LATELY_S:
            self._over.popleft()
        ahead = sum(other.start < ticket.start for flow in self._queues() for other in flow.waiting)
        if not self._over:
            return 0.0
        lasted = max(now - self._over[0], LATELY_S / 10)
        return (ahead + 1) * lasted / len(self._over)

    def _enter(self, flow: Flow) -> Ticket:
        ticket = flow.waiting.popleft()
        ticket.entered = True
        flow.seated += 1
        self.seated += 1
        self.waiting -= 1
        self._virtual = max(self._virtual, ticket.start)
        return ticket

    def _has_seat(self, flow: Flow, seats: Seats, now: float) -> bool:
        spare = max(1, seats.capacity // SPARE)
        taken = seats.of_others + self.seated
        if taken < max(1, seats.capacity - spare):
            return True
        self._look_about(now)
        tenants, weights = self._about
        share = seats.capacity * flow.weight / max(weights, flow.weight)
        below = tenants <= 1 or flow.seated < share
        return below and taken < seats.capacity + spare

    def _queues(self) -> Iterator[Flow]:
        return (flow for flow in self._flows.values() if flow.waiting)

    def _look_about(self, now: float) -> None:
        """See, now and then, who is about; who is not, and owes nothing, begins anew where all
        are when it comes back."""
        if now - self._looked_at < LOOK_S:
            return
        self._looked_at = now
        if not self.seated and not self.waiting:
            self._virtual = max([self._virtual, *(flow.finish for flow in self._flows.values())])
        self._flows = {
            tenant: flow
            for tenant, flow in self._flows.items()
            if flow.seated or flow.waiting or flow.finish > self._virtual or _is_about(flow, now)
        }
        about = [flow.weight for flow in self._flows.values() if _is_about(flow, now)]
        self._about = len(about), sum(about)


def _is_about(flow: Flow, now: float) -> bool:
    return bool(flow.seated) or bool(flow.waiting) or now - flow.seen < LATELY_S
