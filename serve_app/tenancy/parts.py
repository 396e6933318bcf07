"""What a site makes of its part in limits that several sites share. Pure."""

from dataclasses import dataclass, replace

from serve_app.tenancy.allot import NOTHING, Amounts, Claim, Share
from serve_app.tenancy.division import Told, amounts_of, most, sums
from serve_app.tenancy.tally import FIRST_PART, first_part


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


def within(share: Share, site: Share) -> Share:
    """A gateway's share, with what is so at other sites."""
    return Share(
        share.allowance,
        sums((share.elsewhere, site.elsewhere)),
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
    return amounts_of(
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
    return Share(share.allowance, amounts_of(others), spent=share.spent)


def quiet(told: Told) -> Told:
    """A site that is silent may be serving all the same: only its control may be lost, or its way
    to Redis. So it keeps what it has, and wants nothing more."""
    return replace(told, claim=replace(told.claim, wanted=NOTHING, pressed=False))
