"""The requests a simulated engine decodes, by adapter, and when each of them will be done.

All requests of an adapter get their tokens in the same steps, so one count per adapter tells the
progress of all: a request that joins at count ``c`` is done at ``c + tokens``.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import count

from serve_app.simulator.request import Request


@dataclass(slots=True)
class _Group:
    steps: int = 0
    ends: list[tuple[int, int, Request]] = field(default_factory=list)


class Batch:
    """Decoding requests.

    Attributes:
        size: how many there are.
    """

    def __init__(self) -> None:
        self._groups: dict[str | None, _Group] = {}
        self._numbers = count()
        self.size = 0

    def adapters(self) -> Iterable[str | None]:
        """Adapters with decoding requests."""
        return self._groups

    def add(self, request: Request, tokens: int) -> None:
        """``request`` has that many tokens left to get."""
        group = self._groups.setdefault(request.adapter, _Group())
        heapq.heappush(group.ends, (group.steps + tokens, next(self._numbers), request))
        self.size += 1

    def running(self, holding: frozenset[str]) -> int:
        """How many requests get a token in a step in which ``holding`` may run."""
        if len(holding) >= len(self._groups):
            groups = self._groups.items()
            return sum(len(group.ends) for name, group in groups if name is None or name in holding)
        return sum(len(self._groups[name].ends) for name in self._may_run(holding))

    def steps_to_next_end(self, holding: frozenset[str]) -> int:
        """Steps until the first of those that may run is done; there must be one."""
        groups = [self._groups[name] for name in self._may_run(holding)]
        return min(group.ends[0][0] - group.steps for group in groups)

    def step(self, steps: int, holding: frozenset[str]) -> list[Request]:
        """Give everybody who may run ``steps`` tokens; returns those who are done."""
        done: list[Request] = []
        for name in self._may_run(holding):
            group = self._groups[name]
            group.steps += steps
            while group.ends and group.ends[0][0] <= group.steps:
                done.append(heapq.heappop(group.ends)[2])
            if not group.ends:
                del self._groups[name]
        self.size -= len(done)
        return done

    def requests(self) -> list[Request]:
        """All of them."""
        return [request for group in self._groups.values() for *_, request in group.ends]

    def _may_run(self, holding: frozenset[str]) -> list[str | None]:
        return [name for name in self._groups if name is None or name in holding]
