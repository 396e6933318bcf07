"""Which homes each adapter gets by its share of the load, for the baseline that has them.

After ``controller.rs``, ``load_estimator.rs`` and ``hrw.rs`` of NVIDIA Dynamo, with their defaults:
arrivals of the last 90 s, smoothed by 0.3 at each of the controller's ticks, 3 s apart.
"""

from collections import Counter, deque
from collections.abc import Iterable
from math import ceil

from serve_app.routing.homes import Homes

TICK_S = 3.0
WINDOW_S = 90.0
SMOOTHING = 0.3
COOLDOWN_TICKS = 3


class Demand:
    """Counts one gateway's arrivals and deals homes out."""

    def __init__(self) -> None:
        self._order = Homes()
        self._arrivals: deque[tuple[float, str]] = deque()
        self._count: Counter[str] = Counter()
        self._load: dict[str, float] = {}
        self._number: dict[str, int] = {}
        self._lowered: dict[str, int] = {}
        self._homes: dict[str, list[str]] = {}
        self._ticks = 0

    def homes(self, adapter: str, now: float, slots: dict[str, int]) -> list[str]:
        """The homes of ``adapter``, a request for it having come now; never none.

        Args:
            slots: LoRA slots by replica.
        """
        self._arrivals.append((now, adapter))
        self._count[adapter] += 1
        if now >= self._ticks * TICK_S:
            self._tick(now, slots)
        mine = [id_ for id_ in self._homes.get(adapter, ()) if id_ in slots]
        return mine or [self._order.first(adapter, slots)]

    def _tick(self, now: float, slots: dict[str, int]) -> None:
        self._ticks = int(now / TICK_S) + 1
        while self._arrivals[0][0] < now - WINDOW_S:
            self._count[self._arrivals.popleft()[1]] -= 1
        self._count = +self._count
        for name in self._load.keys() | self._count.keys():
            before = self._load.get(name, float(self._count[name]))
            self._load[name] = before + SMOOTHING * (self._count[name] - before)
        self._load = {name: load for name, load in self._load.items() if load >= 0.5}
        self._deal(self._numbers(sum(slots.values()), len(slots)), slots)

    def _numbers(self, slots: int, replicas: int) -> dict[str, int]:
        """How many homes the most asked for have: in proportion, as far as slots go."""
        most = sorted(self._load, key=lambda name: (-self._load[name], name))[:slots]
        total = sum(self._load[name] for name in most)
        wanted = {n: min(replicas, ceil(self._load[n] / total * slots)) for n in most}
        scale = min(1.0, slots / max(1, sum(wanted.values())))
        return {name: self._damped(name, int(n * scale) or 1) for name, n in wanted.items()}

    def _damped(self, name: str, new: int) -> int:
        """A home is taken away only when the last was so some ticks ago."""
        old = self._number.get(name, 1)
        if new < old and self._ticks - self._lowered.get(name, -COOLDOWN_TICKS) < COOLDOWN_TICKS:
            return old
        if new < old:
            self._lowered[name] = self._ticks
        self._number[name] = new
        return new

    def _deal(self, numbers: dict[str, int], slots: dict[str, int]) -> None:
        """Each adapter takes the first replicas of its order that have a slot left; those that get
        none stay where they are, or have one home, slots or not."""
        left, before = dict(slots), self._homes
        self._homes = {}
        for name in sorted(numbers):
            self._homes[name] = self._take(name, numbers[name], left)
        for name in self._load.keys() - numbers.keys():
            kept = [id_ for id_ in before.get(name, ())[:1] if id_ in slots]
            self._homes[name] = kept or self._take(name, 1, left)

    def _take(self, name: str, number: int, left: dict[str, int]) -> list[str]:
        free: Iterable[str] = (id_ for id_, slots in left.items() if slots > 0)
        taken = self._order.order(name, free)[:number]
        for id_ in taken:
            left[id_] -= 1
        return taken
