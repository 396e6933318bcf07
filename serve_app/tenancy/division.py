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
from serve_app.tenancy.tally import FIRST_PART, first_part

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
        return _amounts(self.stake(measure).held for measure in range(len(MEASURES)))


@dataclass(frozen=True, slots=True)
class Part:
    """What a site was given of one subject's limits.

    Attributes:
        at: when, in seconds.
        only: no other site has anything of them.
    """

    share: Share
    at: float
    only: bool = False


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
        _amounts(allowance),
        _amounts(elsewhere),
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
        _sums(claim.used for claim in claims),
        _sums(one.held for one in told),
        _sums(claim.wanted for claim in claims),
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


def quiet(told: Told) -> Told:
    """A site that is silent may be serving all the same: only its control may be lost, or its way
    to Redis. So it keeps what it has, and wants nothing more."""
    return replace(told, claim=replace(told.claim, wanted=NOTHING, pressed=False))


def within(share: Share, site: Share) -> Share:
    """A gateway's share, with what is so at other sites."""
    return Share(
        share.allowance,
        _sums((share.elsewhere, site.elsewhere)),
        share.adapters | site.adapters,
        share.counted | site.counted,
        (share.spent[0] + site.spent[0], share.spent[1] + site.spent[1]),
        share.fresh and site.fresh,
        share.needed or site.needed,
    )


def at_least(claim: Claim, told: Told) -> Claim:
    """The claim of a site that may not have heard yet of all that its word before spoke of."""
    used = most(claim.used, told.claim.used)
    return replace(claim, used=used, held=most(claim.held, told.held))


def all_but_a_part(claim: Claim) -> Amounts:
    """What the only site takes that nobody waits at: while most of a limit is unused a part of it
    stays free, so that who comes to another site need not wait for what this one holds."""
    limits = [limit or 0 for limit in claim.limits]
    return _amounts(
        limit if 2 * used > limit else limit - limit // FIRST_PART
        for limit, used in zip(limits, claim.used, strict=True)
    )


def alone(claim: Claim) -> Share:
    """What a site may use while it can ask nobody and was given nothing: what its gateways hold,
    or the first part of each limit."""
    firsts = map(first_part, claim.limits)
    return cut_off(Share(most(firsts, claim.held)), claim.limits)


def cut_off(share: Share, limits: tuple[int | None, ...]) -> Share:
    """The share of a site that hears of nobody. What it was not given others may have used, so
    there is nothing to wait for."""
    others = (
        max(told, (limit or 0) - given)
        for told, limit, given in zip(share.elsewhere, limits, share.allowance, strict=True)
    )
    return Share(share.allowance, _amounts(others), spent=share.spent)


def most(some: Iterable[int], others: Iterable[int]) -> Amounts:
    """The larger of each."""
    return _amounts(map(max, some, others))


def least(some: Iterable[int], others: Iterable[int]) -> Amounts:
    """The smaller of each."""
    return _amounts(map(min, some, others))


def _ended(amounts: Amounts) -> Amounts:
    return _amounts([*amounts[:CONCURRENT], *NOTHING[CONCURRENT:]])


def _sums(amounts: Iterable[Amounts]) -> Amounts:
    return _amounts(map(sum, zip(NOTHING, *amounts, strict=True)))


def _amounts(values: Iterable[int]) -> Amounts:
    requests, tokens, concurrent, adapters = values
    return requests, tokens, concurrent, adapters
