"""The last placements of each adapter: where its requests went, why, and what came of it. Pure.

It is a bounded memory of one gateway, and holds neither prompts nor keys.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from serve_app.routing.messages import Reply
from serve_app.routing.policy import Choice

ADAPTERS = 1024
EACH = 8


class Asked(Protocol):
    """The request that was placed, which learns what came of it while it is answered."""

    @property
    def request_id(self) -> str: ...
    @property
    def first_byte_s(self) -> float | None: ...
    @property
    def duration_s(self) -> float: ...
    @property
    def outcome(self) -> str: ...


@dataclass(frozen=True, slots=True)
class Placement:
    """One request, and where it went.

    Attributes:
        choice: the replica, the reason for it, and what it was expected to wait there.
        cold_load_s: seconds it waited for its adapter to be loaded, None if it was resident.
        streamed: it was answered by a whole stream, so that its first byte is its first token.
        asked: the request itself: its id, how it ended, and how long that took from its arrival.
        noted_at: wall clock in seconds when its answer was there.
    """

    choice: Choice
    cold_load_s: float | None
    streamed: bool
    asked: Asked
    noted_at: float

    @property
    def at(self) -> float:
        """Wall clock in seconds when the request came."""
        return self.noted_at - self.asked.duration_s


class Placements:
    """The last placements of the adapters that were asked for last.

    Args:
        clock: wall clock, in seconds.
        adapters: how many it remembers; the one not asked for longest is forgotten first.
        each: how many placements of each.
    """

    def __init__(
        self, clock: Callable[[], float], adapters: int = ADAPTERS, each: int = EACH
    ) -> None:
        self._clock = clock
        self._limit = adapters
        self._each = each
        self._last: OrderedDict[str | None, deque[Placement]] = OrderedDict()

    def note(self, adapter: str | None, choice: Choice, reply: Reply | None, asked: Asked) -> None:
        """A request for ``adapter``, None for the base, was placed and is over.

        Args:
            reply: what the replica said at the end, None if it was cut short.
        """
        last = self._last.get(adapter)
        if last is None:
            if len(self._last) >= self._limit:
                self._last.popitem(last=False)
            last = self._last[adapter] = deque(maxlen=self._each)
        self._last.move_to_end(adapter)
        cold_load_s = reply.cold_load_s if reply else None
        streamed = reply is not None and reply.streamed
        last.append(Placement(choice, cold_load_s, streamed, asked, self._clock()))

    def latest(self) -> dict[str | None, tuple[Placement, ...]]:
        """What is remembered: adapters and placements, newest first."""
        return {name: tuple(reversed(last)) for name, last in reversed(self._last.items())}
