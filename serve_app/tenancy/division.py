"""What those who share a limit have told of it, and what each of them is given. Pure.

The same arithmetic divides a limit among the gateways of a site, in control's memory, and among
sites, in Redis: whoever is given a part counts with the largest of what it holds, was given and has
used until it tells that it has less, so together they never have more than the limit, whatever of
their words is lost or late.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from serve_app.tenancy.allot import (
    CONCURRENT,
    MEASURES,
    NOTHING,
    Amounts,
    Claim,
    Share,
    Stake,
    allot,
)
from serve_app.tenancy.tally import first_part

STALE_S = 0.5
"""A claim older than this is asked for anew when another is pressed."""


@dataclass(slots=True)
class Told:
    """The last word of one gateway, or one site, on one subject.

    Attributes:
        given: what it was given since; it may not know yet.
        at: when it spoke, in seconds.
    """

    claim: Claim
    given: Amounts
    at: float

    def stake(self, measure: int) -> Stake:
        """What it has of one limit. What it was given may not have reached it, so until it says so
        the larger counts."""
        claim = self.claim
        used = claim.used[measure]
        held = max(claim.held[measure], self.given[measure], used)
        return Stake(used, held, claim.wanted[measure])

    @property
    def held(self) -> Amounts:
        """What it may have of each limit."""
        return amounts_of(self.stake(measure).held for measure in range(len(MEASURES)))


def divide(
    me: str,
    claim: Claim,
    others: Mapping[str, Told],
    *,
    most: Amounts | None = None,
    learning: bool = False,
    spent: tuple[int, int] = (0, 0),
    fresh: bool = True,
) -> Share:
    """What the one that claims may use, beside what the others have.

    Args:
        most: there is no more than this to divide, whatever the limits.
        learning: others may hold what they have not told yet.
        spent, fresh: as in ``Share``.
    """
    allowance, elsewhere = [*NOTHING], [*NOTHING]
    for measure, limit in enumerate(claim.limits):
        if limit is not None:
            stakes = [one.stake(measure) for one in others.values()]
            whole = limit if most is None else min(limit, most[measure])
            mine = Stake(claim.used[measure], claim.held[measure], claim.wanted[measure])
            part = allot(whole, mine, stakes)
            if learning:
                part = min(part, max(mine.used, mine.held, first_part(limit)))
            allowance[measure] = part
            elsewhere[measure] = sum(stake.used for stake in stakes)
    return Share(
        amounts_of(allowance),
        amounts_of(elsewhere),
        adapters=adapters_of(others.values()),
        counted=adapters_of(one for id_, one in others.items() if id_ < me),
        spent=spent,
        fresh=fresh,
        needed=any(one.claim.pressed for one in others.values()),
    )


def late(others: Mapping[str, Told], now: float) -> list[str]:
    """Who should tell anew, because another is pressed."""
    return [id_ for id_, one in others.items() if now - one.at > STALE_S]


def together(told: Iterable[Told]) -> Claim | None:
    """What gateways of one site claim as one; None if there are none."""
    told = list(told)
    if not told:
        return None
    claims = [one.claim for one in told]
    return Claim(
        max(told, key=lambda one: one.at).claim.limits,
        sums(claim.used for claim in claims),
        sums(one.held for one in told),
        sums(claim.wanted for claim in claims),
        adapters_of(told),
        any(claim.pressed for claim in claims),
    )


def adapters_of(told: Iterable[Told]) -> frozenset[str]:
    """Adapters in flight."""
    return frozenset().union(*(one.claim.adapters for one in told))


def dead(told: Told) -> Told:
    """A gateway that is silent is lost, and what it ran with it. What it used still counts."""
    claim = told.claim
    ended = replace(
        claim,
        used=_ended(claim.used),
        held=_ended(claim.held),
        wanted=NOTHING,
        adapters=frozenset(),
    )
    return Told(ended, _ended(told.given), told.at)


def most(some: Iterable[int], others: Iterable[int]) -> Amounts:
    """The larger of each."""
    return amounts_of(map(max, some, others))


def least(some: Iterable[int], others: Iterable[int]) -> Amounts:
    """The smaller of each."""
    return amounts_of(map(min, some, others))


def sums(amounts: Iterable[Amounts]) -> Amounts:
    """The sum of each."""
    return amounts_of(map(sum, zip(NOTHING, *amounts, strict=True)))


def amounts_of(values: Iterable[int]) -> Amounts:
    """In the order of ``MEASURES``."""
    requests, tokens, concurrent, adapters = values
    return requests, tokens, concurrent, adapters


def _ended(amounts: Amounts) -> Amounts:
    return amounts_of([*amounts[:CONCURRENT], *NOTHING[CONCURRENT:]])
