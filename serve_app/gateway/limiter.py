"""Lets requests in as long as their tenant and their key may use more.

What a gateway may use it is told in the background, so a request waits for nobody. Only one that
its own allowance keeps out, while the limit itself has room, waits for the next word of control.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping

from serve_app.gateway.asked import Asked
from serve_app.gateway.too_many import limited, standing
from serve_app.telemetry.metrics import GatewayMetrics
from serve_app.tenancy.allot import (
    BUDGETS,
    MEASURES,
    NOTHING,
    Report,
    Share,
    Subject,
    is_limited,
    shared_limits,
)
from serve_app.tenancy.limits import UNLIMITED, Limits
from serve_app.tenancy.snapshot import Identity
from serve_app.tenancy.tally import Ask, Short, Tally

LOGGER = logging.getLogger("ray.serve")
ROUND_S = 0.25
"""Seconds between two reports to control while there is anything to report."""
ANSWER_S = 1.0
WAIT_S = 0.8
"""How long a request may wait for other gateways to let go of what they do not use."""
RETRY_S = 0.05
REPEAT_S = 1.0
"""What has not changed is said again after so long."""
FIRST_PART = 10
"""While control is away, a gateway that was given nothing takes this part of a limit."""

Ask_ = Callable[[Report], Awaitable[Mapping[Subject, Share]]]


class Limiter:
    """The limits of every tenant and key that has any. Used from one event loop.

    Args:
        gateway: this gateway's id.
        authority: asks control for shares; raises if it is away.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        gateway: str,
        authority: Ask_,
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._authority = authority
        self._metrics = metrics
        self._clock = clock
        self._tallies: dict[Subject, Tally] = {}
        self._said: dict[Subject, tuple[float, object]] = {}
        self._wake = asyncio.Event()
        self._round: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._reporting: asyncio.Task[None] | None = None

    async def admit(self, asked: Asked) -> None:
        """Let a request in, and charge what it is reckoned to use; settled when it is over.

        Raises:
            TooManyRequests: the tenant or the key may not use so much now.
        """
        tallies = self._tallies_of(asked.identity)
        if not tallies:
            return
        ask = Ask(asked.tokens, asked.access.adapter)
        await self._room(tallies, ask)
        now = self._clock()
        seconds = [tally.charge(ask, now) for _, tally in tallies]
        asked.headers.update(standing([tally for _, tally in tallies], now))

        def settle() -> None:
            access = asked.access
            used, over = access.prompt_tokens + access.completion_tokens, self._clock()
            for (_, tally), second in zip(tallies, seconds, strict=True):
                tally.settle(ask, second, used, over)

        asked.held.callback(settle)

    async def close(self) -> None:
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.wait([self._reporting])

    async def _room(self, tallies: list[tuple[Subject, Tally]], ask: Ask) -> None:
        """Come back once there is room for the request."""
        until = self._clock() + WAIT_S
        while True:
            now = self._clock()
            found = _short(tallies, ask, now)
            if found is None:
                return
            subject, tally, short = found
            if short.never or not short.here or now >= until:
                self._metrics.limited(subject[0], (*MEASURES, *BUDGETS)[short.measure])
                raise limited(subject, short, ask, standing([tally], now), time.time())
            await self._next_round(until - now)

    async def _next_round(self, within_s: float) -> None:
        """Wait for a word of control's that is an answer to what is so now."""
        self._wake.set()
        await asyncio.wait([self._round], timeout=within_s)
        await asyncio.sleep(min(RETRY_S, within_s))

    def _tallies_of(self, identity: Identity) -> list[tuple[Subject, Tally]]:
        found = []
        for kind, id_, limits in (
            ("tenant", identity.tenant.id, identity.tenant.limits),
            ("key", identity.key.id, identity.key.limits),
        ):
            if limits is not UNLIMITED and is_limited(limits):
                found.append(((kind, id_), self._tally((kind, id_), limits)))
        return found

    def _tally(self, subject: Subject, limits: Limits) -> Tally:
        tally = self._tallies.get(subject)
        if tally is None:
            tally = self._tallies[subject] = Tally(limits, self._clock())
            if self._reporting is None or self._reporting.done():
                self._reporting = asyncio.get_running_loop().create_task(self._report())
        tally.limits = limits
        return tally

    async def _report(self) -> None:
        """Tell control what is used and wanted, as long as there is anything to tell."""
        while self._tallies:
            self._wake.clear()
            asked, self._round = self._round, asyncio.get_running_loop().create_future()
            await self._tell()
            if not asked.done():
                asked.set_result(None)
            try:
                async with asyncio.timeout(ROUND_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _tell(self) -> None:
        now = self._clock()
        for subject in [s for s, tally in self._tallies.items() if tally.idle(now)]:
            del self._tallies[subject]
            self._said.pop(subject, None)
        claims = {subject: tally.claim(now) for subject, tally in self._tallies.items()}
        news = {s: claim for s, claim in claims.items() if self._is_news(s, claim, now)}
        if not news:
            return
        try:
            async with asyncio.timeout(ANSWER_S):
                shares = await self._authority(Report(self._gateway, news))
        except Exception as error:
            LOGGER.info("limits go on from the last share; control is away: %r", error)
            self._go_on()
            return
        for subject, share in shares.items():
            tally = self._tallies.get(subject)
            if tally is None:
                continue
            held = tally.share.allowance if tally.share else NOTHING
            if share.allowance == held:
                self._said[subject] = (now, news[subject])
            elif any(less < before for less, before in zip(share.allowance, held, strict=True)):
                self._wake.set()  # others wait to hear that it is let go of
            tally.share = share

    def _is_news(self, subject: Subject, claim: object, now: float) -> bool:
        at, said = self._said.get(subject, (float("-inf"), None))
        return claim != said or now - at >= REPEAT_S

    def _go_on(self) -> None:
        """Without control: what was given goes on; who was given nothing has a part."""
        for tally in self._tallies.values():
            if tally.share is None:
                requests, tokens, concurrent, adapters = (
                    0 if limit is None else min(limit, 1 + limit // FIRST_PART)
                    for limit in shared_limits(tally.limits)
                )
                tally.share = Share((requests, tokens, concurrent, adapters))


def _short(
    tallies: list[tuple[Subject, Tally]], ask: Ask, now: float
) -> tuple[Subject, Tally, Short] | None:
    """The first limit that keeps the request out. Both are asked, for both are wanted."""
    found = [(subject, tally, tally.short(ask, now)) for subject, tally in tallies]
    return next(((one, tally, short) for one, tally, short in found if short), None)
