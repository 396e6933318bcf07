"""Who says how much of each limit a gateway may use. Used from one event loop.

It keeps nothing: what gateways hold they tell, and a new authority learns it from them.
"""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from serve_app.tenancy.allot import (
    CONCURRENT,
    MEASURES,
    Amounts,
    Claim,
    Report,
    Share,
    Stake,
    Subject,
    allot,
)
from serve_app.tenancy.window import WINDOW_S

SILENT_S = 3.0
"""A gateway that has said nothing for so long has no requests in flight any more."""

LEARNING_S = 1.5
"""An authority that has just begun waits so long for gateways to tell what they hold."""

FIRST_PART = 10
"""Meanwhile a gateway that holds nothing gets this part of a limit."""


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


class Authority:
    """Divides limits among the gateways that report.

    Args:
        clock: seconds that never go back.
        spent: tokens a subject has spent this day and this month.
        learning_s: what gateways hold is told within so many seconds from now.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        spent: Callable[[Subject], tuple[int, int]] = lambda _: (0, 0),
        learning_s: float = LEARNING_S,
    ) -> None:
        self._clock = clock
        self._spent = spent
        self._learnt_at = clock() + learning_s
        self._told: defaultdict[Subject, dict[str, Told]] = defaultdict(dict)

    def share(self, report: Report) -> dict[Subject, Share]:
        """What the gateway may use, of all it has claimed."""
        now = self._clock()
        return {
            subject: self._share(report.gateway, subject, claim, now)
            for subject, claim in report.claims.items()
        }

    def used(self, subject: Subject) -> Amounts:
        """What all gateways together said they use, in the order of ``MEASURES``."""
        now = self._clock()
        told = [one for one in self._told.get(subject, {}).values() if now - one.at < SILENT_S]
        adapters = frozenset().union(*(one.claim.adapters for one in told))
        requests, tokens, concurrent, _ = (
            sum(one.claim.used[measure] for one in told) for measure in range(len(MEASURES))
        )
        return requests, tokens, concurrent, len(adapters)

    def _share(self, gateway: str, subject: Subject, claim: Claim, now: float) -> Share:
        told = self._told[subject]
        self._forget_silent(told, now)
        others = {id_: one for id_, one in told.items() if id_ != gateway}
        stakes = [
            [_stake(one, measure, now) for one in others.values()]
            for measure in range(len(MEASURES))
        ]
        given = tuple(
            self._allowance(claim, measure, stakes[measure], now)
            for measure in range(len(MEASURES))
        )
        requests, tokens, concurrent, adapters = given
        allowance = requests, tokens, concurrent, adapters
        told[gateway] = Told(claim, allowance, now)
        requests, tokens, concurrent, adapters = (
            sum(stake.used for stake in measured) for measured in stakes
        )
        elsewhere = requests, tokens, concurrent, adapters
        there = [(id_, one.claim.adapters) for id_, one in others.items()]
        return Share(
            allowance,
            elsewhere,
            adapters=frozenset().union(*(names for _, names in there)),
            counted=frozenset().union(*(names for id_, names in there if id_ < gateway)),
            spent=self._spent(subject),
        )

    def _allowance(self, claim: Claim, measure: int, others: list[Stake], now: float) -> int:
        limit = claim.limits[measure]
        if limit is None:
            return 0
        if now < self._learnt_at and not others:
            return max(claim.held[measure], min(limit, 1 + limit // FIRST_PART))
        mine = Stake(claim.used[measure], claim.held[measure], claim.wanted[measure])
        return allot(limit, mine, others)

    def _forget_silent(self, told: dict[str, Told], now: float) -> None:
        for gateway in [id_ for id_, one in told.items() if now - one.at > WINDOW_S]:
            del told[gateway]

    def sweep(self) -> None:
        """Forget subjects nobody has spoken of for a whole window."""
        now = self._clock()
        for subject in list(self._told):
            self._forget_silent(self._told[subject], now)
            if not self._told[subject]:
                del self._told[subject]


def _stake(told: Told, measure: int, now: float) -> Stake:
    """What a gateway has of one limit. What it was given may not have reached it, so until it
    says so the larger counts; what it holds, and nobody hears of, is lost with it."""
    silent = now - told.at > SILENT_S
    if silent and measure >= CONCURRENT:
        return Stake(0, 0, 0)
    claim = told.claim
    held = max(claim.held[measure], told.given[measure])
    return Stake(claim.used[measure], held, 0 if silent else claim.wanted[measure])
