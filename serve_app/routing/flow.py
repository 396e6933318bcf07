"""One tenant's requests at one gateway: those that wait, in order, and where they stand in virtual
time. Pure."""

from collections import deque
from dataclasses import dataclass, field
from itertools import takewhile

LATELY_S = 5.0
"""What was used counts half as much after so long; a tenant is about for so long after its last
request came or was over."""


@dataclass(slots=True)
class Use:
    """Tokens of requests under way, as they are reckoned, and of those that are over, of which
    older ones count less."""

    _under_way: float = 0.0
    _over: float = 0.0
    _at: float = 0.0

    def begin(self, tokens: float) -> None:
        """A request is under way that is reckoned at so many."""
        self._under_way += tokens

    def end(self, tokens: float, used: float, now: float) -> None:
        """One that was reckoned at ``tokens`` is over, and has used ``used``."""
        self._under_way -= tokens
        self._over, self._at = self._faded(now) + used, now

    def at(self, now: float) -> float:
        """What counts at ``now``, in seconds that never go back."""
        return self._under_way + self._faded(now)

    def _faded(self, now: float) -> float:
        return self._over * float(0.5 ** ((now - self._at) / LATELY_S))


@dataclass(slots=True, eq=False)
class Ticket:
    """One request's place.

    Attributes:
        cost: tokens it is reckoned to use, and what its turn at a LoRA slot is worth in tokens.
        slot: the latter alone.
        came: the virtual time when it came.
        adapter: its version's name, None for the base.
        first: its tenant has less than its share, so that no engine should keep it waiting.
    """

    flow: "Flow"
    cost: float
    slot: float
    came: float
    adapter: str | None = None
    entered: bool = False
    first: bool = False

    @property
    def tokens(self) -> float:
        """What it is reckoned to use."""
        return self.cost - self.slot


@dataclass(slots=True, eq=False)
class Flow:
    """One tenant's requests, first come first served among themselves, but that one whose replicas
    are full does not keep those after it from others that are not.

    Attributes:
        finish: where its last request that entered ends, in virtual time.
        seated: how many are on their way or with the engines.
        seen: when it was about last.
        use: what it has of the engines' work.
    """

    tenant: str
    weight: float
    finish: float = 0.0
    seated: int = 0
    seen: float = 0.0
    use: Use = field(default_factory=Use)
    waiting: deque[Ticket] = field(default_factory=deque)

    @property
    def start(self) -> float:
        """Where its next request starts. Only now, for those before it may have used more or less
        than they were reckoned at, or have left."""
        return max(self.waiting[0].came, self.finish)

    def before(self, ticket: Ticket) -> list[Ticket]:
        """Those that wait before ``ticket``, which waits."""
        return list(takewhile(lambda other: other is not ticket, self.waiting))

    def starting_before(self, start: float) -> int:
        """How many of those that wait will start before ``start``, if they are reckoned right."""
        if not self.waiting:
            return 0
        at, number = self.start, 0
        for ticket in self.waiting:
            if at >= start:
                break
            number += 1
            at += ticket.cost / self.weight
        return number
