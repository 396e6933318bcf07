"""A simulated gateway: production's own view of the fleet and its own queue, over calls that carry
no text."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count

from serve_app.adapters.version import Version
from serve_app.routing.fair import FairQueue
from serve_app.routing.fleet import Fleet
from serve_app.routing.flow import Ticket
from serve_app.routing.messages import Call, News, Operation
from serve_app.routing.policy import Rank, Tuning
from serve_app.simulator.events import Events
from serve_app.simulator.replica import Replica
from serve_app.simulator.request import Request

LOOK_S = 0.05
"""As production's turnstile: while somebody waits, seats are looked for so often."""
MAX_OUTSTANDING = 1024
"""``max_outstanding_per_replica``, as production has it unless it is told otherwise."""


def version(number: int) -> Version:
    """Adapter ``number`` of a simulation."""
    return Version(f"adapter-{number}", 1, f"{number:064x}"[::-1], rank=16, size_bytes=1)


@dataclass(frozen=True, slots=True)
class Rules:
    """How a gateway goes about it.

    Attributes:
        copies: whether hot adapters are copied in the background.
        shedding: whether requests that would wait too long are refused.
        turns: whether tenants take turns at a full fleet, by ``weights``.
    """

    tuning: Tuning
    copies: bool
    shedding: bool
    turns: bool
    weights: Mapping[int, float]


class Gateway:
    """Places requests on replicas, in turn when there is no seat for all of them.

    Args:
        replicas: those that run, by id; kept up to date by whoever starts and kills them.
        rank: a routing policy, None for production's.
    """

    def __init__(
        self,
        id_: str,
        replicas: dict[str, Replica],
        events: Events,
        rank: Rank | None,
        rules: Rules,
    ) -> None:
        self.id = id_
        self._replicas = replicas
        self._events = events
        self._rules = rules
        copy = self._copy if rules.copies else None
        self.fleet = Fleet(id_, lambda _ids: None, copy, rank, rules.tuning, lambda: events.now)
        self._queue = FairQueue()
        self._waiting: dict[Ticket, tuple[Request, Call]] = {}
        self._tickets: dict[Request, Ticket] = {}
        self._looking = False
        self._numbers = count()
        self._calls: dict[Request, Call] = {}
        self._versions: dict[int, Version] = {}
        self._ids: tuple[str, ...] = ()

    def replicas_are(self, ids: tuple[str, ...]) -> None:
        """These run, as far as is known."""
        self._ids = ids
        self.fleet.replicas_are(frozenset(ids))

    def heard(self, replica: str, news: News) -> None:
        """A replica told its state."""
        self.fleet.heard(replica, news)

    def outstanding(self) -> int:
        """Calls that are booked, seated or waiting."""
        return self.fleet.outstanding() + self._queue.seated + self._queue.waiting

    def take(self, request: Request) -> None:
        """Send a request on its way, now or in its turn, or refuse it."""
        call = self._call(request)
        if self._rules.shedding and self.fleet.shed_after_s(call) is not None:
            request.shed = True
        elif self._rules.turns:
            self._queue_up(request, call)
        else:
            self._send(request, call)

    def again(self, request: Request) -> None:
        """Its replica died before it answered."""
        self.fleet.release(self._calls.pop(request), served=False)
        self._send(request, self._call(request))

    def done(self, request: Request) -> None:
        """It is complete."""
        arrival = request.arrival
        self._over(request, arrival.prompt + arrival.output, served=True)

    def lost(self, request: Request) -> None:
        """Its replica died in the midst of the answer."""
        request.lost = True
        self._over(request, request.arrival.prompt, served=False)

    def _queue_up(self, request: Request, call: Call) -> None:
        """Its tokens are reckoned right, where production goes by what is usual for a tenant."""
        arrival, now = request.arrival, self._events.now
        weight = self._rules.weights.get(arrival.tenant, 1.0)
        tokens, slot = arrival.prompt + arrival.output, self.fleet.slot_worth(call)
        ticket = self._queue.arrive(str(arrival.tenant), weight, tokens, now, slot, request.adapter)
        self._tickets[request], self._waiting[ticket] = ticket, (request, call)
        self._let_in()
        if ticket.entered:
            return
        if self._rules.shedding:
            max_wait_s = self._rules.tuning.shed_above_s
            most = MAX_OUTSTANDING * len(self._ids)
            if self._queue.refused_after_s(ticket, max_wait_s, most, now) is not None:
                self._refuse(ticket)
                return
            self._events.at(now + max_wait_s, partial(self._refuse, ticket))
        self._look_later()

    def _refuse(self, ticket: Ticket) -> None:
        if ticket in self._waiting:
            request, _ = self._waiting.pop(ticket)
            request.shed = True
            self._queue.leave(self._tickets.pop(request), 0, self._events.now)

    def _let_in(self) -> None:
        """Everybody there is a seat for."""
        while self._queue.waiting:
            ticket = self._queue.next(self.fleet.seats(), self._events.now, self.fleet.fits)
            if ticket is None:
                return
            request, call = self._waiting.pop(ticket)
            request.first = ticket.first
            self._send(request, call)

    def _look_later(self) -> None:
        if not self._looking:
            self._looking = True
            self._events.at(self._events.now + LOOK_S, self._look)

    def _look(self) -> None:
        self._looking = False
        self._let_in()
        if self._queue.waiting:
            self._look_later()

    def _call(self, request: Request) -> Call:
        number, arrival = next(self._numbers), request.arrival
        named = None if arrival.adapter is None else self._version(arrival.adapter)
        return Call(
            self.id,
            number,
            "",
            Operation.COMPLETION,
            {},
            named,
            self.fleet,
            prompt_tokens=arrival.prompt,
        )

    def _send(self, request: Request, call: Call) -> None:
        self._calls[request] = call
        chosen = self.fleet.place(call, self._ids)[0]
        self._replicas[chosen].send(self.id, request)

    def _copy(self, version: Version, replica: str) -> None:
        self._replicas[replica].memory.fetch(version.name)

    def _over(self, request: Request, used: int, *, served: bool) -> None:
        self.fleet.release(self._calls.pop(request), served=served)
        ticket = self._tickets.pop(request, None)
        if ticket is not None:
            self._queue.leave(ticket, used, self._events.now)
            self._let_in()

    def _version(self, number: int) -> Version:
        found = self._versions.get(number)
        if found is None:
            found = self._versions[number] = version(number)
        return found
