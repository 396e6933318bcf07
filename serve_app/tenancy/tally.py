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
from serve_app.tenancy.window import WINDOW_S, Window

LATE_S = 1.0
"""What was wanted counts less by half after so long."""

RECORD_S = 3.0
"""What was used is recorded, and told as spent, after so long at most."""

GOOD_S = 1.0
"""What is known of other gateways is good for so long."""

FIRST_PART = 10
"""A gateway that cannot ask takes this part of a limit."""


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
        here: the limit may have room, though this gateway's allowance has none.
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
        share: what the authority gave last, None before that.
    """

    def __init__(self, limits: Limits, now: float) -> None:
        self.limit_to(limits)
        self.share: Share | None = None
        self._heard_at = now
        self._requests = Window()
        self._tokens = Window()
        self._adapters: Counter[str] = Counter()
        self._in_flight = 0
        self._pledged = 0
        self._late: deque[tuple[float, int]] = deque()
        self._late_tokens = 0
        self._wanted = [0.0] * len(MEASURES)
        self._wanted_at = self._touched_at = now
        self._pressed = False

    def limit_to(self, limits: Limits) -> None:
        """These are the limits from now on."""
        self.limits = limits
        self._limits = shared_limits(limits)
        self._budgets = [(n, one) for n, one in enumerate(budgets(limits)) if one is not None]

    def hear(self, share: Share, now: float) -> None:
        """The authority's word. What it has given less of is not here to give any more."""
        self.share, self._heard_at = share, now

    def begin(self) -> None:
        """Nobody can be asked: go on with a part of each limit."""
        requests, tokens, concurrent, adapters = map(first_part, self._limits)
        self.share = Share((requests, tokens, concurrent, adapters))

    def want(self, ask: Ask, now: float) -> None:
        """A request has come, and counts as wanted whether it is let in or not."""
        self._fade(now)
        self._touched_at = now
        for measure, amount in enumerate(self._needs(ask)):
            self._wanted[measure] += amount

    def short(self, ask: Ask, now: float) -> Short | None:
        """What keeps the request out; None if nothing does."""
        needs, used = self._needs(ask), self.used(now)
        allowance = self.share.allowance if self.share else NOTHING
        for measure, limit in enumerate(self._limits):
            if limit is None or not needs[measure]:
                continue
            if used[measure] + needs[measure] > min(allowance[measure], limit):
                self._pressed = True
                return self._short(measure, limit, used[measure], needs[measure], now)
        return self._over_budget(now) if self._budgets else None

    def charge(self, ask: Ask, now: float) -> int:
        """The request is let in; the second in which it was counted."""
        self._touched_at = now
        self._requests.add(now, 1)
        self._in_flight += 1
        self._pledged += ask.tokens
        if ask.adapter is not None:
            self._adapters[ask.adapter] += 1
        return self._tokens.add(now, ask.tokens)

    def settle(self, ask: Ask, second: int, tokens: int, now: float) -> None:
        """The request is over, and has used ``tokens``."""
        self._touched_at = now
        self._in_flight -= 1
        self._pledged -= ask.tokens
        if tokens and self._budgets:
            self._late.append((now, tokens))
            self._late_tokens += tokens
        self._tokens.correct(second, now, tokens - ask.tokens)
        if ask.adapter is not None:
            self._adapters[ask.adapter] -= 1
            if not self._adapters[ask.adapter]:
                del self._adapters[ask.adapter]

    def used(self, now: float) -> Amounts:
        """What counts here now, in the order of ``MEASURES``."""
        mine = len(self._adapters)
        if self.share and self.share.counted:
            mine = len(self._adapters.keys() - self.share.counted)
        return self._requests.used(now), self._tokens.used(now), self._in_flight, mine

    def claim(self, now: float) -> Claim:
        """What the authority is told."""
        self._fade(now)
        allowance = self.share.allowance if self.share else NOTHING
        held = tuple(
            0 if limit is None else held
            for limit, held in zip(self._limits, allowance, strict=True)
        )
        requests, tokens, concurrent, adapters = (round(wanted * 16) for wanted in self._wanted)
        pressed, self._pressed = self._pressed, False
        return Claim(
            self._limits,
            self.used(now),
            (held[REQUESTS], held[TOKENS], held[CONCURRENT], held[ADAPTERS]),
            (requests, tokens, concurrent, adapters),
            frozenset(self._adapters),
            pressed,
        )

    def remaining(self, measure: int, now: float) -> int | None:
        """What is left of a limit over all gateways, as far as is known; None if there is none."""
        limit = self._limits[measure]
        if limit is None:
            return None
        window = self._requests if measure == REQUESTS else self._tokens
        elsewhere = self.share.elsewhere[measure] if self.share else 0
        return max(0, limit - window.used(now) - elsewhere)

    def resets_s(self, measure: int, now: float) -> float:
        """Seconds until nothing counts any more of what this gateway let in."""
        window = self._requests if measure == REQUESTS else self._tokens
        return window.clears_s(now)

    def idle(self, now: float) -> bool:
        """Whether nothing of it counts any more."""
        return not self._in_flight and now - self._touched_at > WINDOW_S + 1

    def _needs(self, ask: Ask) -> Amounts:
        adapter = 0
        if self._limits[ADAPTERS] is not None and ask.adapter is not None:
            elsewhere = self.share.adapters if self.share else frozenset()
            adapter = int(ask.adapter not in self._adapters and ask.adapter not in elsewhere)
        return 1, ask.tokens, 1, adapter

    def _over_budget(self, now: float) -> Short | None:
        """What of a day's or a month's tokens is spent: recorded, on its way there, and pledged to
        requests in flight. The request that passes a budget is the last."""
        while self._late and now - self._late[0][0] > RECORD_S:
            self._late_tokens -= self._late.popleft()[1]
        spent = self.share.spent if self.share else (0, 0)
        for place, budget in self._budgets:
            if spent[place] + self._late_tokens + self._pledged >= budget:
                return Short(len(MEASURES) + place, budget, 0, 0.0, here=False)
        return None

    def _short(self, measure: int, limit: int, used: int, need: int, now: float) -> Short:
        share = self.share or Share()
        left = limit - used - share.elsewhere[measure]
        window = {REQUESTS: self._requests, TOKENS: self._tokens}.get(measure)
        missing = max(1, used + need - share.allowance[measure])
        after_s = window.frees_s(now, min(missing, used)) if window and used else 1.0
        known = share.fresh and now - self._heard_at <= GOOD_S
        return Short(measure, limit, max(0, left), after_s, need <= left or not known, need > limit)

    def _fade(self, now: float) -> None:
        """What was wanted long ago is wanted no more."""
        passed = (now - self._wanted_at) / LATE_S
        self._wanted_at = now
        factor = 0.5**passed if passed < 32 else 0.0
        self._wanted = [wanted * factor for wanted in self._wanted]


def first_part(limit: int | None) -> int:
    """What a gateway may take of a limit while it can ask nobody."""
    return 0 if limit is None else min(limit, 1 + limit // FIRST_PART)
