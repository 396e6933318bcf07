"""Where requests go on to the fleet: in turn when it is full, and told to come again when the turn
would be long.

Engines serve first come first served, so what they have no seat for waits here, where tenants have
their shares. Each gateway is fair by itself, over seats that all of them see: a tenant has a share
at every gateway it comes to, and one that comes to fewer than others do has less in all.
"""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from math import ceil

from serve_app.errors import Overloaded
from serve_app.gateway.asked import Asked
from serve_app.routing.fair import FairQueue
from serve_app.routing.fleet import Fleet
from serve_app.routing.flow import Ticket
from serve_app.routing.messages import GENERATING, Call
from serve_app.routing.seats import full
from serve_app.settings import GatewaySettings
from serve_app.telemetry.gateway_metrics import GatewayMetrics

FIRST = -1
"""vLLM's ``priority`` of a request that our scheduler has others' prompts give way to."""
LOOK_S = 0.05
"""While somebody waits, seats are looked for so often: others' come free unheard."""


class Turnstile:
    """Lets through what the fleet has seats for, tenants by their weights. For one event loop."""

    def __init__(
        self,
        fleet: Fleet,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._settings = settings
        self._metrics = metrics
        self._clock = clock
        self._queue = FairQueue()
        self._turns: dict[int, asyncio.Future[None]] = {}
        self._look: asyncio.TimerHandle | None = None

    async def enter(self, asked: Asked, call: Call) -> None:
        """Come back when the request may go on.

        Raises:
            Overloaded: it would wait, or has waited, for longer than it should.
        """
        self._must_be_served(asked, call)
        if call.operation not in GENERATING:
            return
        now, tenant = self._clock(), asked.tenant
        ticket = self._queue.arrive(
            tenant.id,
            tenant.weight,
            max(1, asked.tokens),
            now,
            slot=self._fleet.slot_worth(call),
            adapter=call.version.name if call.version else None,
        )
        asked.held.callback(self._leave, ticket, asked)
        self._let_in()
        if not ticket.entered:
            self._metrics.waiting(self._queue.waiting)
            await self._turn(ticket, asked, now)
            self._metrics.queued(tenant.id, self._clock() - now)
        if ticket.first:
            call.body["priority"] = FIRST

    def _must_be_served(self, asked: Asked, call: Call) -> None:
        """Refuse what would wait for longer than it should, wherever it went."""
        fleet = self._fleet
        if not fleet.answering():
            raise Overloaded("No replica is ready; try again.", retry_after_s=2)
        if fleet.is_(partial(full, self._settings.max_outstanding_per_replica)):
            raise Overloaded("Every replica is busy; try again.", retry_after_s=1)
        after_s = fleet.shed_after_s(call)
        if after_s is not None:
            raise self._shed(asked, after_s)

    def _shed(self, asked: Asked, after_s: float) -> Overloaded:
        self._metrics.shed(asked.tenant.id)
        return Overloaded("Every replica is busy; try again.", retry_after_s=ceil(after_s))

    async def _turn(self, ticket: Ticket, asked: Asked, now: float) -> None:
        most_s = self._settings.max_wait_s
        most = self._settings.max_outstanding_per_replica * self._fleet.answering()
        after_s = self._queue.refused_after_s(ticket, most_s, most, now)
        if after_s is not None:
            raise self._shed(asked, after_s)
        turn = self._turns[id(ticket)] = asyncio.get_running_loop().create_future()
        self._look_later()
        try:
            async with asyncio.timeout(most_s):
                await turn
        except TimeoutError:
            if ticket.entered:
                return
            after_s = max(1.0, self._queue.expected_s(ticket, self._clock()))
            raise self._shed(asked, after_s) from None
        finally:
            del self._turns[id(ticket)]

    def _leave(self, ticket: Ticket, asked: Asked) -> None:
        access = asked.access
        used = access.prompt_tokens - access.cached_tokens + access.completion_tokens
        waited = self._queue.waiting
        self._queue.leave(ticket, used if ticket.entered else 0, self._clock())
        self._let_in()
        if waited:
            self._metrics.waiting(self._queue.waiting)

    def _let_in(self) -> None:
        """Everybody there is a seat for."""
        now = self._clock()
        while self._queue.waiting:
            ticket = self._queue.next(self._fleet.seats(), now, self._fleet.fits)
            if ticket is None:
                return
            turn = self._turns.get(id(ticket))
            if turn is not None and not turn.done():
                turn.set_result(None)

    def _look_later(self) -> None:
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LOOK_S, self._look_now)

    def _look_now(self) -> None:
        self._look = None
        self._let_in()
        if self._queue.waiting:
            self._look_later()
