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
    """

    limits: tuple[int | None, ...]
    used: Amounts
    held: Amounts
    wanted: Amounts
    adapters: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Share:
    """What a gateway may use of one tenant's or key's limits.

    Attributes:
        allowance: in the order of ``MEASURES``; of no meaning where there is no limit.
        elsewhere: what other gateways said they use.
        adapters: in flight on other gateways, and so no further ones here.
        counted: those of them that are counted there, and so not here.
        spent: tokens recorded this day and this month, UTC.
    """

    allowance: Amounts = NOTHING
    elsewhere: Amounts = NOTHING
    adapters: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()
    spent: tuple[int, int] = (0, 0)


@dataclass(frozen=True, slots=True)
class Report:
    """What a gateway says to the authority: its claims by subject, ``("tenant" | "key", id)``."""

    gateway: str
    claims: Mapping["Subject", Claim] = field(default_factory=dict)


Subject = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Stake:
    """One gateway's part in one limit: what it uses, holds or may have been given, and wants."""

    used: int
    held: int
    wanted: int


def allot(limit: int, mine: Stake, others: Iterable[Stake]) -> int:
    """The allowance of one gateway: what it uses, and of what is left a part by what it wants,
    as far as others do not hold it. What does not divide goes to whoever wants most.

    With what others hold it is never more than ``limit``, unless they hold more than that already,
    as they may when a limit was lowered; then it is nothing until they have let go.
    """
    others = list(others)
    room = limit - sum(other.held for other in others)
    left = max(0, limit - mine.used - sum(other.used for other in others))
    wants = [mine.wanted, *(other.wanted for other in others)]
    if not any(wants):
        wants = [1] * len(wants)
    parts = [left * want // sum(wants) for want in wants]
    if wants[0] == max(wants):
        parts[0] += left - sum(parts)
    return max(0, min(room, mine.used + parts[0]))
