"""Who enters next when the fleet is full: tenants by weight, not by how much they send. Pure.

Start-time fair queueing (Goyal, Vin and Cheng, SIGCOMM 1996): a request starts, in virtual time,
where its tenant's last one ended; it lasts what it costs over its tenant's weight; the earliest
start enters first. A tenant that sends more only queues behind itself. Nobody's seats stay empty
for it: a tenant alone may fill them all.

Answers last, so a tenant that asks little would wait for those of others to end. One that has less
than its share of all there is to share, seats and tokens, does not: an engine has room for half as
many requests as it has seats beyond those (``seats.room``). The larger of the two shares counts, as
in dominant resource fairness (Ghodsi et al., NSDI 2011), for who sends long prompts and reads short
answers takes much of an engine in few seats.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from functools import cache
from heapq import heapify, heappop
from itertools import islice

from serve_app.routing.flow import LATELY_S, Flow, Ticket, Use
from serve_app.routing.seats import Fits, Seats, Standing, anywhere, room

LOOK_S = 0.1
"""Who is about is looked at again after so long."""

TELLING = 8
"""So many requests must be over before they tell how fast."""

COUNTED = 1024
"""How fast requests are over is told by so many of the last."""

USUAL_OF = 64
"""What a request usually uses is told by about so many of the last."""

LOOK_AHEAD = 32
"""Of a tenant's waiting requests so many may pass those before them whose replicas are full."""

CLEARLY = 0.75
"""A tenant that uses less than this part of its share may have more seats than that for a while:
what one asks comes in bursts."""

FORGET_FROM = 256
"""So many tenants are remembered before those that owe nothing are looked for."""


class FairQueue:
    """The requests of one gateway that hold a seat or wait for one."""

    def __init__(self) -> None:
        self._flows: dict[str, Flow] = {}
        self._backlog: dict[str, Flow] = {}
        self._virtual = 0.0
        self._furthest = 0.0
        self._usual = 0.0
        self._use = Use()
        self._over: deque[float] = deque(maxlen=COUNTED)
        self._looked_at = float("-inf")
        self._about = (0, 0.0)
        self._forget_at = FORGET_FROM
        self.seated = 0
        self.waiting = 0

    def arrive(
        self,
        tenant: str,
        weight: float,
        tokens: float,
        now: float,
        slot: float = 0.0,
        adapter: str | None = None,
    ) -> Ticket:
        """A request comes, and waits: ``next`` lets it in.

        Args:
            tokens: what it is reckoned to use.
            slot: how many requests the turn at a LoRA slot is worth that it needs.
            adapter: its version's name, None for the base.
        """
        if not self.waiting:
            self._over.clear()  # how fast requests were over that nobody waited for says nothing
        flow = self._flow(tenant, weight, now)
        slot *= self._usual
        ticket = Ticket(flow, tokens + slot, slot, self._virtual, adapter)
        flow.waiting.append(ticket)
        self._backlog[tenant] = flow
        self.waiting += 1
        return ticket

    def next(self, seats: Seats, now: float, fits: Fits = anywhere) -> Ticket | None:
        """Let the next request in that there is a seat for; None if there is none."""
        taken, fits = seats.of_others + self.seated, cache(fits)
        if taken >= seats.most(Standing.BELOW):
            return None
        for flow in _in_order(self._backlog.values()):
            standing = self._standing(flow, seats, now)
            if taken >= seats.most(standing):
                continue
            for ticket in islice(flow.waiting, LOOK_AHEAD):
                if not self.seated or fits(ticket.adapter, standing):
                    ticket.first = standing is Standing.BELOW
                    return self._enter(ticket)
        return None

    def leave(self, ticket: Ticket, used: float, now: float) -> None:
        """A request is over and has used ``used`` tokens; or it waits no more, and used none."""
        flow = ticket.flow
        flow.seen = now
        if not ticket.entered:
            flow.waiting.remove(ticket)
            self._waits_no_more(flow)
        else:
            flow.finish += (used + ticket.slot - ticket.cost) / flow.weight
            self._furthest = max(self._furthest, flow.finish)
            self._usual += (used - self._usual) / USUAL_OF
            for use in (flow.use, self._use):
                use.end(ticket.tokens, used, now)
            flow.seated -= 1
            self.seated -= 1
            self._over.append(now)
        if not self.seated and not self.waiting:
            self._virtual = max(self._virtual, self._furthest)  # whoever comes now begins anew

    def expected_s(self, ticket: Ticket, now: float) -> float:
        """Seconds a waiting request has to wait, as fast as requests were over lately while
        others waited: for those of its own tenant before it, and those of others that start
        sooner. 0 while too few were over to tell."""
        while self._over and now - self._over[0] > LATELY_S:
            self._over.popleft()
        if len(self._over) < TELLING:
            return 0.0
        flow = ticket.flow
        before = flow.before(ticket)
        start = flow.start + sum(other.cost for other in before) / flow.weight
        ahead = len(before) + sum(
            other.starting_before(start) for other in self._backlog.values() if other is not flow
        )
        lasted = max(now - self._over[0], LATELY_S / 10)
        return (ahead + 1) * lasted / len(self._over)

    def refused_after_s(
        self, ticket: Ticket, max_wait_s: float, max_waiting: int, now: float
    ) -> float | None:
        """Seconds after which a waiting request, refused now, may come again; None if it may wait.

        It may not if it would wait longer than ``max_wait_s``; nor beyond ``max_waiting`` requests,
        unless its tenant has less than its share of those.
        """
        expected_s = self.expected_s(ticket, now)
        if expected_s > max_wait_s:
            return expected_s - max_wait_s
        if self.waiting <= max_waiting:
            return None
        self._look_about(now)
        flow = ticket.flow
        if len(flow.waiting) <= max_waiting * self._share(flow):
            return None
        return max(1.0, expected_s)

    def _enter(self, ticket: Ticket) -> Ticket:
        flow = ticket.flow
        start = flow.start
        flow.waiting.remove(ticket)
        ticket.entered = True
        flow.finish = start + ticket.cost / flow.weight
        flow.seated += 1
        self.seated += 1
        flow.use.begin(ticket.tokens)
        self._use.begin(ticket.tokens)
        self._waits_no_more(flow)
        self._virtual = max(self._virtual, start)
        self._furthest = max(self._furthest, flow.finish)
        return ticket

    def _waits_no_more(self, flow: Flow) -> None:
        self.waiting -= 1
        if not flow.waiting:
            del self._backlog[flow.tenant]

    def _standing(self, flow: Flow, seats: Seats, now: float) -> Standing:
        """By the larger of its shares, of seats and of tokens."""
        self._look_about(now)
        tenants, _ = self._about
        if tenants <= 1:
            return Standing.ALONE
        share = self._share(flow)
        if flow.seated >= room(seats.own) * share:
            return Standing.ABOVE
        used, fair = flow.use.at(now), self._use.at(now) * share
        if used <= CLEARLY * fair or (used <= fair and flow.seated < seats.own * share):
            return Standing.BELOW
        return Standing.ABOVE

    def _share(self, flow: Flow) -> float:
        """Of those who are about, as they were when last looked at; 1 is all."""
        _, weights = self._about
        return flow.weight / max(weights, flow.weight)

    def _flow(self, tenant: str, weight: float, now: float) -> Flow:
        flow = self._flows.get(tenant)
        if flow is None:
            if len(self._flows) >= self._forget_at:
                self._forget(now)
            flow = self._flows[tenant] = Flow(tenant, weight)
        flow.weight, flow.seen = weight, now
        return flow

    def _forget(self, now: float) -> None:
        """Whoever is not about and owes nothing begins, when it comes back, where all are. Done
        each time there are twice as many as were left, it costs each that comes little."""
        self._flows = {
            tenant: flow
            for tenant, flow in self._flows.items()
            if flow.finish > self._virtual or _is_about(flow, now)
        }
        self._forget_at = max(FORGET_FROM, 2 * len(self._flows))

    def _look_about(self, now: float) -> None:
        """See, now and then, who is about."""
        if now - self._looked_at >= LOOK_S:
            self._looked_at = now
            weights = [flow.weight for flow in self._flows.values() if _is_about(flow, now)]
            self._about = len(weights), sum(weights)


def _in_order(flows: Iterable[Flow]) -> Iterator[Flow]:
    """Those that wait, the earliest start first; the first is found without sorting the rest."""
    order = [(flow.start, number, flow) for number, flow in enumerate(flows)]
    heapify(order)
    while order:
        yield heappop(order)[2]


def _is_about(flow: Flow, now: float) -> bool:
    return bool(flow.seated) or bool(flow.waiting) or now - flow.seen < LATELY_S
