"""When routing alone will not do: bring an adapter to a further replica, or refuse a request. Pure.

Neither moves a request: a copy competes like any other holder once it is there.
"""

from collections.abc import Iterable, Sequence

from serve_app.routing.policy import TUNED, Rank, Tuning
from serve_app.routing.view import ReplicaView

FULLNESS = 8
"""How sharply a batch counts as full: at 0.8 of its seats a sixth of what sharing costs counts, at
half of them nothing."""


def is_hot(adapter: str, holder: ReplicaView, tuning: Tuning = TUNED) -> bool:
    """Whether ``holder`` has more to do than it should, and much of it for ``adapter``."""
    busy = holder.utilisation > tuning.copy_above
    return busy and holder.requests.get(adapter, 0) >= tuning.copy_requests


def copy_to(
    adapter: str,
    replicas: Sequence[ReplicaView],
    rank: Rank,
    now: float,
    tuning: Tuning = TUNED,
) -> ReplicaView | None:
    """Where to load a copy of an adapter whose holder is hot with it, None if it needs none.

    It does when no other holder has room, and none is being loaded.

    Args:
        rank: the policy that says which replica would be next.
    """
    alive = [view for view in replicas if view.alive]
    holders = [view for view in alive if adapter in view.known]
    if any(adapter in view.loading or view.utilisation <= tuning.copy_above for view in holders):
        return None
    able = [v for v in alive if adapter not in v.known and v.utilisation <= tuning.copy_above]
    return next(iter(rank(adapter, able, now)), None)


def shed_after_s(
    adapter: str | None, replicas: Iterable[ReplicaView], tuning: Tuning = TUNED
) -> float | None:
    """Seconds after which a refused request may come again; None if it is not to be refused.

    It is when it would wait too long wherever it went. The load of its adapter does not count: to
    refuse it would not make it any shorter.
    """
    best_s = float("inf")
    for view in replicas:
        if view.alive:
            best_s = min(best_s, _wait_s(adapter, view))
            if best_s <= tuning.shed_above_s:
                return None
    return max(1.0, best_s - tuning.shed_above_s) if best_s < float("inf") else None


def _wait_s(adapter: str | None, view: ReplicaView) -> float:
    """For a seat, the prompts before it and a slot. In a batch that is nearly full one more adapter
    slows so many down that what it costs them counts as its own wait."""
    if adapter is None or adapter in view.active:
        return view.queue_s
    return view.queue_s + view.turn_s + view.share_s * min(1.0, view.utilisation) ** FULLNESS
