"""Which adapters a simulated replica holds: staged on its node, in its engine's memory, coming.

As in ``serve_app.engine.residency``: an adapter is loaded once however many requests wait for it,
and the idle one used longest ago makes room.
"""

from collections import Counter, deque
from collections.abc import Callable

from serve_app.simulator.events import Events
from serve_app.simulator.machine import Machine
from serve_app.simulator.request import Request


class Memory:
    """Leases adapters to requests.

    Args:
        on_ready: told a request whose adapter is held now.

    Attributes:
        loads: adapters loaded so far.
        loading: when each adapter that is coming will be held.
        leases: requests that use or wait for each adapter.
    """

    def __init__(
        self, machine: Machine, events: Events, on_ready: Callable[[Request], None]
    ) -> None:
        self._machine = machine
        self._events = events
        self._on_ready = on_ready
        self._staged: set[str] = set()
        self._held: dict[str, None] = {}  # used longest ago first
        self._waiting: dict[str, list[Request]] = {}
        self._no_room: deque[str] = deque()
        self.loading: dict[str, float] = {}
        self.leases: Counter[str] = Counter()
        self.loads = 0

    def holds(self) -> frozenset[str]:
        """Adapters in memory, or on their way there, as a replica tells it."""
        return frozenset((*self._held, *self.loading))

    def load_s(self, adapter: str) -> float:
        """How long a load of ``adapter`` would take now."""
        staging_s = 0.0 if adapter in self._staged else self._machine.stage_s
        return staging_s + self._machine.disk_s

    def waiting_tokens(self) -> int:
        """Prompt tokens of the requests that wait for their adapters."""
        return sum(one.arrival.prompt for waiting in self._waiting.values() for one in waiting)

    def lease(self, adapter: str, request: Request) -> bool:
        """Whether ``request`` may go on at once; if not, ``on_ready`` will be told of it."""
        self.leases[adapter] += 1
        if adapter in self._held:
            self._held[adapter] = self._held.pop(adapter)
            return True
        request.cold = True
        self._waiting.setdefault(adapter, []).append(request)
        self.fetch(adapter)
        return False

    def release(self, adapter: str) -> None:
        """A request has ended."""
        self.leases[adapter] -= 1
        if not self.leases[adapter]:
            del self.leases[adapter]
            self._begin_what_waits()

    def fetch(self, adapter: str) -> None:
        """Load ``adapter`` if it is not held or coming, as soon as there is room."""
        if adapter in self._held or adapter in self.loading or adapter in self._no_room:
            return
        self._no_room.append(adapter)
        self._begin_what_waits()

    def _begin_what_waits(self) -> None:
        while self._no_room and self._make_room():
            self._begin(self._no_room.popleft())

    def _make_room(self) -> bool:
        if len(self._held) + len(self.loading) < self._machine.max_cpu_loras:
            return True
        victim = next((name for name in self._held if name not in self.leases), None)
        if victim is None:
            return False
        del self._held[victim]
        return True

    def _begin(self, adapter: str) -> None:
        self.loads += 1
        ready_s = self._events.now + self.load_s(adapter)
        self._staged.add(adapter)
        self.loading[adapter] = ready_s
        self._events.at(ready_s, lambda: self._arrived(adapter))

    def _arrived(self, adapter: str) -> None:
        del self.loading[adapter]
        self._held[adapter] = None
        for request in self._waiting.pop(adapter, ()):
            self._on_ready(request)
