"""Who says how much of each limit a gateway may use. Used from one event loop.

It keeps nothing: what gateways hold they tell, and a new authority learns it from them.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace

from serve_app.tenancy.allot import (
    CONCURRENT,
    MEASURES,
    NOTHING,
    SILENT_S,
    Amounts,
    Claim,
    Report,
    Share,
    Shares,
    Stake,
    Subject,
    allot,
)
from serve_app.tenancy.tally import first_part
from serve_app.tenancy.window import WINDOW_S

STALE_S = 0.5
"""A claim older than this is asked for anew when another gateway is pressed."""


@dataclass(slots=True)
class Told:
    """A gateway's last word on one subject.

    Attributes:
        given: what it was given since; it may not know yet.
        at: when it spoke, in seconds.
    """

    claim: Claim
    given: Amounts
    at: float


@dataclass(slots=True)
class Reporter:
    """A gateway: number of its last report, when that came, and what it is to tell anew."""

    number: int
    at: float
    recalled: set[Subject]


class Authority:
    """Divides limits among the gateways that report.

    Args:
        clock: seconds that never go back.
        spent: tokens a subject has spent this day and this month.
        learning_s: within so many seconds from now gateways tell what they hold.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        spent: Callable[[Subject], tuple[int, int]],
        learning_s: float,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._learnt_at = clock() + learning_s
        self._reporters: dict[str, Reporter] = {}
        self._told: defaultdict[Subject, dict[str, Told]] = defaultdict(dict)

    def share(self, report: Report) -> Shares:
        """What the gateway may use of all it has claimed; and of what it should claim anew.

        A report that was overtaken by a later one changes nothing.
        """
        now, gateway = self._clock(), report.gateway
        reporter = self._reporters.setdefault(gateway, Reporter(-1, now, set()))
        if report.number <= reporter.number:
            return {}
        reporter.number, reporter.at = report.number, now
        for subject in report.released:
            self._told.get(subject, {}).pop(gateway, None)
        if report.leaving:
            for subject, claim in report.claims.items():
                left = replace(claim, held=NOTHING, wanted=NOTHING)
                self._told[subject][gateway] = Told(left, NOTHING, now)
            return {}
        shares: dict[Subject, Share | None] = {
            subject: self._share(gateway, subject, claim, now)
            for subject, claim in report.claims.items()
        }
        recalled, reporter.recalled = reporter.recalled, set()
        return {**dict.fromkeys(recalled - report.released), **shares}

    def used(self, subject: Subject) -> tuple[int, ...]:
        """What all gateways together said they use, in the order of ``MEASURES``, and what is
        recorded of ``BUDGETS``."""
        self._forget_silent(subject)
        told = self._told.get(subject, {})
        stakes = [
            [self._stake(gateway, one, measure) for gateway, one in told.items()]
            for measure in range(len(MEASURES))
        ]
        adapters = frozenset().union(
            *(one.claim.adapters for id_, one in told.items() if not self._is_silent(id_))
        )
        requests, tokens, concurrent, _ = (sum(s.used for s in measured) for measured in stakes)
        return requests, tokens, concurrent, len(adapters), *self._spent(subject)

    def sweep(self) -> None:
        """Forget gateways that have said nothing for a whole window, and subjects nobody has."""
        for gateway in [id_ for id_ in self._reporters if self._is_silent(id_, WINDOW_S)]:
            for told in self._told.values():
                told.pop(gateway, None)
            del self._reporters[gateway]
        for subject in [one for one, told in self._told.items() if not told]:
            del self._told[subject]

    def _share(self, gateway: str, subject: Subject, claim: Claim, now: float) -> Share:
        self._forget_silent(subject)
        told = self._told[subject]
        others = {id_: one for id_, one in told.items() if id_ != gateway}
        allowance, elsewhere = [*NOTHING], [*NOTHING]
        for measure, limit in enumerate(claim.limits):
            if limit is not None:
                stakes = [self._stake(id_, one, measure) for id_, one in others.items()]
                allowance[measure] = self._allowance(limit, claim, measure, stakes, now)
                elsewhere[measure] = sum(stake.used for stake in stakes)
        requests, tokens, concurrent, adapters = allowance
        given = requests, tokens, concurrent, adapters
        told[gateway] = Told(claim, given, now)
        requests, tokens, concurrent, adapters = elsewhere
        names = {id_: one.claim.adapters for id_, one in others.items() if not self._is_silent(id_)}
        return Share(
            given,
            (requests, tokens, concurrent, adapters),
            adapters=frozenset().union(*names.values()),
            counted=frozenset().union(*(theirs for id_, theirs in names.items() if id_ < gateway)),
            spent=self._spent(subject),
            fresh=not (claim.pressed and self._recall(subject, others, now)),
            needed=any(one.claim.pressed for one in others.values()),
        )

    def _allowance(
        self, limit: int, claim: Claim, measure: int, others: list[Stake], now: float
    ) -> int:
        mine = Stake(claim.used[measure], claim.held[measure], claim.wanted[measure])
        allowance = allot(limit, mine, others)
        if now < self._learnt_at:
            return min(allowance, max(mine.used, mine.held, first_part(limit)))
        return allowance

    def _recall(self, subject: Subject, others: dict[str, Told], now: float) -> bool:
        """Have those tell anew who have not for a while; whether there are any."""
        late = [
            id_
            for id_, one in others.items()
            if now - one.at > STALE_S and not self._is_silent(id_)
        ]
        for id_ in late:
            self._reporters[id_].recalled.add(subject)
        return bool(late)

    def _stake(self, gateway: str, told: Told, measure: int) -> Stake:
        """What a gateway has of one limit. What it was given may not have reached it, so until it
        says so the larger counts; what it holds, and nobody hears of, is lost with it."""
        silent = self._is_silent(gateway)
        if silent and measure >= CONCURRENT:
            return Stake(0, 0, 0)
        claim = told.claim
        used = claim.used[measure]
        held = max(claim.held[measure], told.given[measure], used)
        return Stake(used, held, 0 if silent else claim.wanted[measure])

    def _is_silent(self, gateway: str, for_s: float = SILENT_S) -> bool:
        return self._clock() - self._reporters[gateway].at > for_s

    def _forget_silent(self, subject: Subject) -> None:
        told = self._told.get(subject, {})
        for gateway in [id_ for id_ in told if self._is_silent(id_, WINDOW_S)]:
            del told[gateway]
