"""What one gateway has let one tenant, or one key, use, and what it may still let it. Pure."""

from collections import Counter, deque
from dataclasses import dataclass

from serve_app.tenancy.allot import (
    ADAPTERS,
    CONCURRENT,
    MEASURES,
    NOTHING,
    REQUESTS,
    TOKENS,
    Amounts,
    Claim,
    Share,
    budgets,
    shared_limits,
)
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.window import Window

LATE_S = 1.0
"""What was wanted counts less by half after so long."""

RECORD_S = 3.0
"""What was used is recorded, and told as spent, after so long at most."""


@dataclass(frozen=True, slots=True)
class Ask:
    """What one request would use: tokens, as reckoned before it runs, and an adapter, if any."""

    tokens: int
    adapter: str | None


@dataclass(frozen=True, slots=True)
class Short:
    """What keeps a request out.

    Attributes:
        measure: place of the limit in ``MEASURES``, or of the budget in ``BUDGETS`` after those.
        limit: the limit itself.
        left: how much of it is left over all gateways, as far as is known.
        after_s: seconds after which it may come again.
        here: the limit is not used up, only this gateway's allowance is.
        never: it asks for more than the whole limit.
    """

    measure: int
    limit: int
    left: int
    after_s: float
    here: bool
    never: bool = False


class Tally:
    """Counts for one subject on one gateway.

    Attributes:
        limits: of the subject; may be replaced at any time.
        share: what the authority gave last, None before that.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.share: Share | None = None
        self._requests = Window()
        self._tokens = Window()
        self._adapters: Counter[str] = Counter()
        self._in_flight = 0
        self._pledged = 0
        self._late: deque[tuple[float, int]] = deque()
        self._wanted = [0.0] * len(MEASURES)
        self._wanted_at = now

    def short(self, ask: Ask, now: float) -> Short | None:
        """What keeps the request out; None if nothing does. Asking counts as wanting."""
        self._want(ask, now)
        limits, used = shared_limits(self.limits), self.used(now)
        needs = (1, ask.tokens, 1, self._new_adapters(ask))
        allowance = self.share.allowance if self.share else NOTHING
        for measure, limit in enumerate(limits):
            if limit is None or not needs[measure]:
                continue
            if used[measure] + needs[measure] > allowance[measure]:
                return self._short(measure, limit, used[measure], needs[measure], now)
        return self._over_budget(now)

    def charge(self, ask: Ask, now: float) -> int:
        """The request is let in; the second in which it was counted."""
        self._requests.add(now, 1)
        self._in_flight += 1
        self._pledged += ask.tokens
        if ask.adapter is not None:
            self._adapters[ask.adapter] += 1
        return self._tokens.add(now, ask.tokens)

    def settle(self, ask: Ask, second: int, tokens: int, now: float) -> None:
        """The request is over, and has used ``tokens``."""
        self._in_flight -= 1
        self._pledged -= ask.tokens
        if tokens and any(budget is not None for budget in budgets(self.limits)):
            self._late.append((now, tokens))
        self._tokens.correct(second, now, tokens - ask.tokens)
        if ask.adapter is not None:
            self._adapters[ask.adapter] -= 1
            if not self._adapters[ask.adapter]:
                del self._adapters[ask.adapter]

    def used(self, now: float) -> Amounts:
        """What counts here now, in the order of ``MEASURES``."""
        counted = self.share.counted if self.share else frozenset()
        mine = len(self._adapters.keys() - counted)
        return self._requests.used(now), self._tokens.used(now), self._in_flight, mine

    def claim(self, now: float) -> Claim:
        """What the authority is told."""
        self._fade(now)
        allowance = self.share.allowance if self.share else NOTHING
        held = tuple(
            0 if limit is None else held
            for limit, held in zip(shared_limits(self.limits), allowance, strict=True)
        )
        requests, tokens, concurrent, adapters = (round(wanted * 16) for wanted in self._wanted)
        return Claim(
            shared_limits(self.limits),
            self.used(now),
            (held[REQUESTS], held[TOKENS], held[CONCURRENT], held[ADAPTERS]),
            (requests, tokens, concurrent, adapters),
            frozenset(self._adapters),
        )

    def remaining(self, measure: int, now: float) -> int:
        """What is left of a limit there is, over all gateways, as far as is known."""
        limit = shared_limits(self.limits)[measure]
        assert limit is not None
        elsewhere = self.share.elsewhere[measure] if self.share else 0
        return max(0, limit - self.used(now)[measure] - elsewhere)

    def resets_s(self, measure: int, now: float) -> float:
        """Seconds until nothing counts any more of what this gateway let in."""
        window = self._requests if measure == REQUESTS else self._tokens
        used = window.used(now)
        return window.frees_s(now, used) if used else 0.0

    def idle(self, now: float) -> bool:
        """Whether nothing of it counts any more."""
        return self.used(now) == NOTHING and now - self._wanted_at > 8 * LATE_S

    def _new_adapters(self, ask: Ask) -> int:
        known = ask.adapter is None or ask.adapter in self._adapters
        return 0 if known or (self.share and ask.adapter in self.share.adapters) else 1

    def _over_budget(self, now: float) -> Short | None:
        """What of a day's or a month's tokens is spent: recorded, on its way there, and pledged to
        requests in flight. The request that passes a budget is the last."""
        for place, budget in enumerate(budgets(self.limits)):
            if budget is None:
                continue
            if self.share is None:
                return Short(len(MEASURES) + place, budget, budget, 1.0, here=True)
            while self._late and now - self._late[0][0] > RECORD_S:
                self._late.popleft()
            late = sum(tokens for _, tokens in self._late)
            if self.share.spent[place] + late + self._pledged >= budget:
                return Short(len(MEASURES) + place, budget, 0, 0.0, here=False)
        return None

    def _short(self, measure: int, limit: int, used: int, need: int, now: float) -> Short:
        elsewhere = self.share.elsewhere[measure] if self.share else 0
        allowance = self.share.allowance[measure] if self.share else 0
        left = limit - used - elsewhere
        window = {REQUESTS: self._requests, TOKENS: self._tokens}.get(measure)
        missing = max(1, used + need - allowance)
        after_s = window.frees_s(now, min(missing, used)) if window and used else 1.0
        return Short(measure, limit, max(0, left), after_s, need <= left, need > limit)

    def _want(self, ask: Ask, now: float) -> None:
        self._fade(now)
        for measure, amount in enumerate((1, ask.tokens, 1, self._new_adapters(ask))):
            self._wanted[measure] += amount

    def _fade(self, now: float) -> None:
        """What was wanted long ago is wanted no more."""
        passed = (now - self._wanted_at) / LATE_S
        self._wanted_at = now
        factor = 0.5**passed if passed < 32 else 0.0
        self._wanted = [wanted * factor for wanted in self._wanted]
