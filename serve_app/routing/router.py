"""Ray Serve's seam: a request router that asks each call where it wants to go.

Ray pickles this module by value, so it keeps no state of the gateway's: whatever it needs to know
comes with the call, which at this point is still the gateway's own live object.
"""

from typing import Any, Protocol

from ray.serve.request_router import (
    FIFOMixin,
    MultiplexMixin,
    PendingRequest,
    ReplicaID,
    RequestRouter,
    RunningReplica,
)

from serve_app.routing.messages import Placer


class Placeable(Protocol):
    """The first argument of every call to a replica."""

    @property
    def fleet(self) -> Placer | None: ...
    def rank(self, replicas: tuple[str, ...]) -> list[str]: ...
    def routed(self, replica: str) -> None: ...


class CallRouter(FIFOMixin, MultiplexMixin, RequestRouter):  # type: ignore[misc]  # untyped
    """Tries replicas in the order the call ranks them.

    The two mixins, with a ``multiplexed_model_id`` on every call, make Ray hand a replica to a
    pending call for the same adapter and to no other.
    """

    def initialize_state(self, **_kwargs: Any) -> None:
        self._fleet: Placer | None = None
        self._by_id: dict[str, RunningReplica] = {}

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> list[list[RunningReplica]]:
        """One rank a replica, best first; every replica the call accepts is in it, so that a full
        one never holds up what is behind it."""
        if pending_request is None:
            return [candidate_replicas]
        pending_request.routing_context.should_backoff = True
        call: Placeable = pending_request.args[0]
        self._meet(call.fleet)
        by_id = self._by_id
        return [[by_id[id_]] for id_ in call.rank(tuple(by_id))]

    def on_request_routed(
        self, pending_request: PendingRequest, replica_id: ReplicaID, _result: Any
    ) -> None:
        call: Placeable = pending_request.args[0]
        call.routed(replica_id.unique_id)

    def update_replicas(self, replicas: list[RunningReplica]) -> None:
        super().update_replicas(replicas)
        self._replicas_changed()

    def on_replica_actor_died(self, replica_id: ReplicaID) -> None:
        super().on_replica_actor_died(replica_id)
        self._replicas_changed()

    def _meet(self, fleet: Placer | None) -> None:
        if fleet is not None and fleet is not self._fleet:
            self._fleet = fleet
            fleet.replicas_are(frozenset(self._by_id))

    def _replicas_changed(self) -> None:
        self._by_id = {id_.unique_id: replica for id_, replica in self.curr_replicas.items()}
        if self._fleet is not None:
            self._fleet.replicas_are(frozenset(self._by_id))
