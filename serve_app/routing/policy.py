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
        band_s: replicas within so much of the best are equals: who holds the adapter comes first,
            then its home decides.
        copy_above: utilisation of a holder above which a copy is prepared elsewhere.
        copy_requests: requests of one adapter in flight there that make a copy worth it.
        shed_above_s: a request that would wait longer than this, everywhere, is refused.
        new_replica_s: for so long a replica that has come loads adapters whose home it is now.
    """

    band_s: float = 0.1
    copy_above: float = 0.5
    copy_requests: int = 4
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
        busy_s: no wait, but what it costs itself and others to share the engine: utilisation
            squared, one adapter more in its slots, and in its memory a copy more.
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
    """The policy: least marginal delay; among equals one that holds the adapter, and of those the
    first in its order of homes."""

    def rank(adapter: str | None, replicas: Sequence[ReplicaView], now: float) -> list[ReplicaView]:
        totals = totals_s(adapter, replicas, now)
        order = [view for _, _, view in sorted(zip(totals, _ids(replicas), replicas, strict=True))]
        if adapter is not None and order and order[0].alive:
            limit = min(totals) + tuning.band_s
            equals = [view for view, t in zip(replicas, totals, strict=True) if t <= limit]
            holders = [view for view in equals if adapter in view.known]
            first = homes.first(adapter, _ids(holders or equals))
            order.insert(0, order.pop(next(i for i, v in enumerate(order) if v.id == first)))
        return order

    return rank


def totals_s(adapter: str | None, replicas: Sequence[ReplicaView], now: float) -> list[float]:
    """The delay a request adds on each replica, in seconds; infinite on the dead.

    It is ``delay`` where the adapter is known; elsewhere all but the sum is known beforehand.
    """
    if adapter is None:
        return [view.base_s for view in replicas]
    return [
        view.stranger_s
        if adapter not in view.known or not view.alive
        else delay(adapter, view, now).total_s
        for view in replicas
    ]


def _ids(replicas: Sequence[ReplicaView]) -> list[str]:
    return [view.id for view in replicas]


def delay(adapter: str | None, view: ReplicaView, now: float) -> Delay:
    """What a request for ``adapter`` would wait on a replica if it were sent there now."""
    queue_s, busy_s = view.queue_s, view.utilisation**2
    if adapter is None:
        return Delay(0.0, 0.0, queue_s, busy_s)
    if adapter not in view.known:
        busy_s += view.copy_s
    if adapter in view.active:
        return Delay(_load_s(adapter, view, now), 0.0, queue_s, busy_s)
    return Delay(_load_s(adapter, view, now), view.turn_s, queue_s, busy_s + view.share_s)


def _load_s(adapter: str, view: ReplicaView, now: float) -> float:
    if adapter in view.loading:
        return max(0.0, view.loading[adapter] - now) + view.costs.swap_s
    if adapter in view.active:
        return 0.0
    return view.costs.swap_s + (0.0 if adapter in view.holds else view.costs.load_s)


def explain(
    adapter: str | None,
    chosen: ReplicaView,
    replicas: Sequence[ReplicaView],
    homes: Homes,
    now: float,
) -> Choice:
    """Why ``chosen``, of ``replicas``, would serve ``adapter``."""
    reason = _reason(adapter, chosen, replicas, homes)
    return Choice(chosen.id, reason, delay(adapter, chosen, now))


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
