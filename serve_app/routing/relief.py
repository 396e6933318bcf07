"""When routing alone will not do: bring an adapter to a further replica, or refuse a request. Pure.

Neither moves a request: a copy competes like any other holder once it is there.
"""

from collections.abc import Sequence

from serve_app.routing.policy import TUNED, Rank, Tuning
from serve_app.routing.view import ReplicaView


def copy_to(
    adapter: str,
    holder: ReplicaView,
    replicas: Sequence[ReplicaView],
    rank: Rank,
    now: float,
    tuning: Tuning = TUNED,
) -> ReplicaView | None:
    """Where to load a copy of ``adapter`` in the background, None if it needs none.

    It does when its holder is hot with it, no other holder has room, and none is being loaded.

    Args:
        holder: where the latest request for the adapter went.
        rank: the policy that says which replica would be next.
    """
    if holder.utilisation <= tuning.copy_above:
        return None
    if holder.requests.get(adapter, 0) < tuning.copy_requests:
        return None
    alive = [view for view in replicas if view.alive]
    holders = [view for view in alive if adapter in view.known]
    if any(adapter in view.loading or view.utilisation <= tuning.copy_above for view in holders):
        return None
    able = [v for v in alive if adapter not in v.known and v.utilisation <= tuning.copy_above]
    return next(iter(rank(adapter, able, now)), None)


def shed_after_s(
    adapter: str | None, replicas: Sequence[ReplicaView], tuning: Tuning = TUNED
) -> float | None:
    """Seconds after which a refused request may come again; None if it is not to be refused.

    It is when it would wait too long wherever it went, for a slot, a seat and the prompts before
    it. The load of its adapter does not count: to refuse it would not make it any shorter.
    """
    waits = (
        view.queue_s + (0.0 if adapter is None or adapter in view.active else view.slot_s)
        for view in replicas
        if view.alive
    )
    best_s = min(waits, default=0.0)
    return max(1.0, best_s - tuning.shed_above_s) if best_s > tuning.shed_above_s else None
