"""Lets requests in as long as their tenant and their key may use more.

What a gateway may use it is told in the background, so a request waits for nobody. Only the first
one of a tenant, and one that its own allowance keeps out while the limit itself may have room, wait
for control's next word, and not for long.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

from serve_app.gateway.asked import Asked
from serve_app.gateway.too_many import limited, standing
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.allot import BUDGETS, MEASURES, Report, Share, Shares, Subject, is_limited
from serve_app.tenancy.limits import UNLIMITED, Limits
from serve_app.tenancy.snapshot import Identity
from serve_app.tenancy.tally import Ask, Short, Tally

LOGGER = logging.getLogger("ray.serve")
ROUND_S = 0.25
"""Seconds between two reports to control while anything counts."""
ANSWER_S = 1.0
FIRST_S = 0.25
"""How long a tenant's first request may wait for its share."""
WAIT_S = 0.8
"""How long a request may wait for other gateways to let go of what they do not use."""
RETRY_S = 0.05
SWEEP_S = 1.0

Counted = list[tuple[Subject, Tally]]


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
        authority: Callable[[Report], Awaitable[Shares]],
        metrics: GatewayMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._authority = authority
        self._metrics = metrics
        self._clock = clock
        self._tallies: dict[Subject, Tally] = {}
        self._changed: set[Subject] = set()
        self._released: set[Subject] = set()
        self._number = 0
        self._away = False
        self._swept_at = clock()
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
            for (subject, tally), second in zip(tallies, seconds, strict=True):
                tally.settle(ask, second, used, over)
                self._changed.add(subject)

        asked.held.callback(settle)

    async def close(self) -> None:
        """Give back what this gateway holds, if control is there to take it."""
        if self._reporting is None:
            return
        self._reporting.cancel()
        await asyncio.wait([self._reporting])
        with suppress(Exception):
            await self._send(set(self._tallies), self._clock(), leaving=True)

    async def _room(self, tallies: Counted, ask: Ask) -> None:
        """Come back once there is room for the request."""
        now = self._clock()
        for _, tally in tallies:
            tally.want(ask, now)
        await self._first_word(tallies)
        until = now + WAIT_S
        while True:
            now = self._clock()
            found = _short(tallies, ask, now)
            self._changed.update(subject for subject, _ in tallies)
            if found is None:
                return
            subject, tally, short = found
            if short.never or not short.here or self._away or now >= until:
                self._metrics.limited(subject[0], (*MEASURES, *BUDGETS)[short.measure])
                raise limited(subject, short, ask, standing([tally], now), time.time())
            await self._next_round(until - now)
            await asyncio.sleep(min(RETRY_S, max(0.0, until - self._clock())))

    async def _first_word(self, tallies: Counted) -> None:
        """Wait for what control gives of limits that nothing is known of here."""
        unknown = [(subject, tally) for subject, tally in tallies if tally.share is None]
        if unknown and not self._away:
            self._changed.update(subject for subject, _ in unknown)
            await self._next_round(FIRST_S)
        for _, tally in unknown:
            if tally.share is None:
                tally.begin()

    async def _next_round(self, within_s: float) -> None:
        """Wait for a word of control's that is an answer to what is so now."""
        self._wake.set()
        await asyncio.wait([self._round], timeout=within_s)

    def _tallies_of(self, identity: Identity) -> Counted:
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
            self._released.discard(subject)
            if self._reporting is None or self._reporting.done():
                self._reporting = asyncio.get_running_loop().create_task(self._report())
        elif tally.limits is not limits:
            tally.limit_to(limits)
        return tally

    async def _report(self) -> None:
        """Tell control what is used and wanted, as long as there is anything to tell."""
        while self._tallies or self._released:
            self._wake.clear()
            asked, self._round = self._round, asyncio.get_running_loop().create_future()
            await self._tell()
            if not asked.done():
                asked.set_result(None)
            with suppress(TimeoutError):
                async with asyncio.timeout(ROUND_S):
                    await self._wake.wait()

    async def _tell(self) -> None:
        now = self._clock()
        self._let_go(now)
        changed, self._changed = self._changed & self._tallies.keys(), set()
        released, was_away = frozenset(self._released), self._away
        try:
            shares = await self._send(set() if was_away else changed, now, released)
        except Exception as error:
            LOGGER.info("limits go on from the last share; control is away: %r", error)
            self._away = True
            return
        self._away = False
        self._released -= released
        self._hear(shares, now)
        if was_away:  # it may be another one, that knows nothing
            self._changed.update(self._tallies)
            self._wake.set()

    async def _send(
        self,
        subjects: set[Subject],
        now: float,
        released: frozenset[Subject] = frozenset(),
        *,
        leaving: bool = False,
    ) -> Shares:
        self._number += 1
        claims = {subject: self._tallies[subject].claim(now) for subject in subjects}
        report = Report(self._gateway, self._number, claims, released, leaving)
        async with asyncio.timeout(ANSWER_S):
            return await self._authority(report)

    def _hear(self, shares: Mapping[Subject, Share | None], now: float) -> None:
        """Take control's word in. Where it asks, or gave less, others may wait to hear of it."""
        for subject, share in shares.items():
            tally = self._tallies.get(subject)
            if tally is None:
                continue
            before = tally.share
            if share is not None:
                tally.hear(share, now)
            if share is None:
                self._changed.add(subject)
                self._wake.set()
            elif before is not None and _is_less(share, before):
                self._changed.add(subject)
                if share.needed:
                    asyncio.get_running_loop().call_later(RETRY_S, self._wake.set)

    def _let_go(self, now: float) -> None:
        """Forget those of which nothing counts any more."""
        if now - self._swept_at < SWEEP_S:
            return
        self._swept_at = now
        for subject in [one for one, tally in self._tallies.items() if tally.idle(now)]:
            del self._tallies[subject]
            self._released.add(subject)


def _is_less(share: Share, before: Share) -> bool:
    pairs = zip(share.allowance, before.allowance, strict=True)
    return any(now_held < held for now_held, held in pairs)


def _short(tallies: Counted, ask: Ask, now: float) -> tuple[Subject, Tally, Short] | None:
    """What keeps the request out; first what no other gateway could mend."""
    found = [(subject, tally, tally.short(ask, now)) for subject, tally in tallies]
    short = [(subject, tally, one) for subject, tally, one in found if one is not None]
    return min(short, key=lambda one: one[2].here, default=None)
