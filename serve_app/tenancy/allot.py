"""How a limit is divided among gateways. Pure.

Every gateway keeps within an allowance of its own, and allowances never add up to more than the
limit: so the limit holds over all of them, without a word between them about any one request.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from serve_app.tenancy.limits import Limits

REQUESTS, TOKENS, CONCURRENT, ADAPTERS = range(4)
MEASURES = ("requests", "tokens", "concurrent requests", "adapters")
DAY, MONTH = range(4, 6)
BUDGETS = ("tokens per day", "tokens per month")
"""What is not divided: a budget is large, and reckoned by what is recorded."""
LIMITS = (
    "requests_per_minute",
    "tokens_per_minute",
    "concurrent_requests",
    "concurrent_adapters",
    "tokens_per_day",
    "tokens_per_month",
)
"""Fields of ``Limits``, in the order of ``MEASURES`` and ``BUDGETS``."""
Amounts = tuple[int, int, int, int]
NOTHING: Amounts = (0, 0, 0, 0)


def shared_limits(limits: Limits) -> tuple[int | None, ...]:
    """The limits that are divided, in the order of ``MEASURES``."""
    return (
        limits.requests_per_minute,
        limits.tokens_per_minute,
        limits.concurrent_requests,
        limits.concurrent_adapters,
    )


def budgets(limits: Limits) -> tuple[int | None, ...]:
    """Tokens per day and per month."""
    return limits.tokens_per_day, limits.tokens_per_month


def is_limited(limits: Limits) -> bool:
    """Whether anything but single requests is."""
    return any(limit is not None for limit in (*shared_limits(limits), *budgets(limits)))


@dataclass(frozen=True, slots=True)
class Claim:
    """What one gateway says of one tenant or key.

    Attributes:
        limits: as it knows them; None where there is none.
        used: what counts against them there.
        held: its allowance.
        wanted: what was asked for there of late, admitted or not.
        adapters: those in flight.
        pressed: a request waits, or was refused since the last claim.
    """

    limits: tuple[int | None, ...]
    used: Amounts
    held: Amounts
    wanted: Amounts
    adapters: frozenset[str] = frozenset()
    pressed: bool = False


@dataclass(frozen=True, slots=True)
class Share:
    """What a gateway may use of one tenant's or key's limits.

    Attributes:
        allowance: in the order of ``MEASURES``; of no meaning where there is no limit.
        elsewhere: what other gateways said they use.
        adapters: in flight on other gateways, and so no further ones here.
        counted: those of them that are counted there, and so not here.
        spent: tokens recorded this day and this month, UTC.
        fresh: what is told of other gateways is as good as now.
        needed: another gateway waits for what this one lets go of.
    """

    allowance: Amounts = NOTHING
    elsewhere: Amounts = NOTHING
    adapters: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    spent: tuple[int, int] = (0, 0)
    fresh: bool = True
    needed: bool = False


Subject = tuple[str, str]
"""``("tenant" | "key", id)``."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a gateway says to the authority, at least every ``SILENT_S``.

    Attributes:
        number: greater than that of each report before.
        claims: of what has changed since.
        released: the gateway counts and holds nothing of these any more.
        leaving: it is about to end, and gives back what it holds; what it used still counts.
    """

    gateway: str
    number: int
    claims: Mapping[Subject, Claim] = field(default_factory=dict)
    released: frozenset[Subject] = frozenset()
    leaving: bool = False


Shares = Mapping[Subject, Share | None]
"""The answer to a report. None asks for a claim, because another gateway is pressed."""

SILENT_S = 3.0
"""A gateway that has said nothing for so long has no requests in flight any more."""


@dataclass(frozen=True, slots=True)
class Stake:
    """One gateway's part in one limit: what it uses, holds or may have been given, and wants."""

    used: int
    held: int
    wanted: int


def allot(limit: int, mine: Stake, others: Iterable[Stake]) -> int:
    """The allowance of one gateway: what it uses, and of what is left a part by what it wants,
    as far as others do not hold it.

    With what others hold it is never more than ``limit``, unless they hold more than that already,
    as they may when a limit was lowered; then it is nothing until they have let go.
    """
    others = list(others)
    room = limit - sum(other.held for other in others)
    left = max(0, limit - mine.used - sum(other.used for other in others))
    part = _part(left, [mine.wanted, *(other.wanted for other in others)])
    return max(0, min(room, mine.used + part))


def _part(left: int, wants: list[int]) -> int:
    """The first one's part by what each wants: at least one for whoever wants anything, and what
    does not divide goes to whoever wants most."""
    if not any(wants):
        wants = [1] * len(wants)
    least = [int(want > 0) for want in wants]
    if left < sum(least):
        least = [0] * len(wants)
    spare = left - sum(least)
    parts = [one + spare * want // sum(wants) for one, want in zip(least, wants, strict=True)]
    rest = left - sum(parts) if wants[0] == max(wants) else 0
    return parts[0] + rest
