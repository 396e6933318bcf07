"""Where a request goes, and why: to the replica where it adds the least delay. Pure.

Every term is in seconds, of what a gateway knows of a replica; time is an argument. How the terms
were chosen, and what each of them is worth, is what ``serve_app.simulator`` shows.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from serve_app.routing.homes import Homes
from serve_app.routing.view import ReplicaView


class Reason(StrEnum):
    """Why a replica was chosen, as ``x-serve-placement`` says it."""

    RESIDENT = "resident"  # it holds the adapter (the base is resident everywhere)
    LOADING = "loading"  # it is loading the adapter already
    HOME = "home"  # nobody holds the adapter; this is its home
    SPILL = "spill"  # every holder is so busy that a copy here is sooner
    COLD = "cold"  # nobody holds the adapter; its home is busier than this one


@dataclass(frozen=True, slots=True)
class Tuning:
    """The policy's own constants.

    Attributes:
        new_copy_s: what a further resident copy must save, for it may evict another adapter.
        band_s: replicas within so much of the best are equals; the adapter's home decides.
        copy_above: utilisation of a holder above which a copy is prepared elsewhere.
        copy_requests: requests of one adapter in flight there that make a copy worth it.
        shed_above_s: a request that would wait longer than this, everywhere, is refused.
        new_replica_s: for so long a replica that has come loads adapters whose home it is now.
    """

    new_copy_s: float = 0.3
    band_s: float = 0.1
    copy_above: float = 0.7
    copy_requests: int = 8
    shed_above_s: float = 2.0
    new_replica_s: float = 60.0


TUNED = Tuning()


@dataclass(frozen=True, slots=True)
class Delay:
    """What a request would wait on a replica, in seconds, by cause.

    Attributes:
        load_s: for its adapter to be loaded.
        slot_s: for a LoRA slot.
        queue_s: for a seat, and for the prompts before its own.
        busy_s: what it costs itself and others to share the engine: utilisation squared.
    """

    load_s: float
    slot_s: float
    queue_s: float
    busy_s: float

    @property
    def total_s(self) -> float:
        return self.load_s + self.slot_s + self.queue_s + self.busy_s


@dataclass(frozen=True, slots=True)
class Choice:
    """A replica, the reason for it, and the numbers behind the reason."""

    replica: str
    reason: Reason
    delay: Delay

    def __str__(self) -> str:
        d = self.delay
        return (
            f"{self.replica}: {self.reason}, {d.total_s:.2f} s = load {d.load_s:.2f} + slot "
            f"{d.slot_s:.2f} + queue {d.queue_s:.2f} + busy {d.busy_s:.2f}"
        )


Rank = Callable[[str | None, Sequence[ReplicaView], float], list[ReplicaView]]
"""A routing policy: adapter (None for the base), fleet, now -> every replica, best first."""


def least_delay(homes: Homes, tuning: Tuning = TUNED) -> Rank:
    """The policy: least marginal delay; among equals, the first in the adapter's order of homes."""

    def rank(adapter: str | None, replicas: Sequence[ReplicaView], now: float) -> list[ReplicaView]:
        scored = sorted(
            (not view.alive, total_s(adapter, view, now, tuning), view.id, view)
            for view in replicas
        )
        if adapter is None or not scored or scored[0][0]:
            return [view for *_, view in scored]
        limit = scored[0][1] + tuning.band_s
        equals = [id_ for dead, delay_s, id_, _ in scored if delay_s <= limit and not dead]
        first = homes.first(adapter, equals)
        order = [view for *_, view in scored]
        order.insert(0, order.pop(next(i for i, v in enumerate(order) if v.id == first)))
        return order

    return rank


def total_s(adapter: str | None, view: ReplicaView, now: float, tuning: Tuning) -> float:
    """The delay a request adds on a replica, in seconds, as ``delay`` has it by cause."""
    if adapter is None:
        return view.base_s
    if adapter not in view.known:
        return view.stranger_s + tuning.new_copy_s
    return delay(adapter, view, now, tuning).total_s


def delay(adapter: str | None, view: ReplicaView, now: float, tuning: Tuning) -> Delay:
    """What a request for ``adapter`` would wait on a replica if it were sent there now."""
    slot_s = 0.0 if adapter is None or adapter in view.active else view.slot_s
    return Delay(_load_s(adapter, view, now, tuning), slot_s, view.queue_s, view.utilisation**2)


def _load_s(adapter: str | None, view: ReplicaView, now: float, tuning: Tuning) -> float:
    if adapter is None:
        return 0.0
    if adapter in view.loading:
        return max(0.0, view.loading[adapter] - now) + view.costs.swap_s
    if adapter in view.active:
        return 0.0
    if adapter in view.holds:
        return view.costs.swap_s
    return view.costs.load_s + view.costs.swap_s + tuning.new_copy_s


def explain(
    adapter: str | None,
    chosen: ReplicaView,
    replicas: Sequence[ReplicaView],
    homes: Homes,
    now: float,
    tuning: Tuning = TUNED,
) -> Choice:
    """Why ``chosen``, of ``replicas``, would serve ``adapter``."""
    reason = _reason(adapter, chosen, replicas, homes)
    return Choice(chosen.id, reason, delay(adapter, chosen, now, tuning))


def _reason(
    adapter: str | None, chosen: ReplicaView, replicas: Sequence[ReplicaView], homes: Homes
) -> Reason:
    if adapter is None:
        return Reason.RESIDENT
    if adapter in chosen.known:
        return Reason.LOADING if adapter in chosen.loading else Reason.RESIDENT
    alive = [view for view in replicas if view.alive]
    if any(adapter in view.known for view in alive):
        return Reason.SPILL
    at_home = alive and homes.first(adapter, [view.id for view in alive]) == chosen.id
    return Reason.HOME if at_home else Reason.COLD
