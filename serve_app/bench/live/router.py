"""A router that places each request in the way its id asks for: ours, or Ray Serve's own code.

Whoever places a request, its call is booked in the gateway's view all the same. Copies in the
background are made while *we* place a request, so the other ways have none.
"""

from itertools import count
from typing import Any

from ray.serve._private.request_router.pow_2_router import PowerOfTwoChoicesRequestRouter
from ray.serve.request_router import PendingRequest, RunningReplica

from serve_app.bench.live.routings import Routing, routing_in
from serve_app.routing.router import CallRouter

Ranks = list[list[RunningReplica]]


class LiveRouter(CallRouter, PowerOfTwoChoicesRequestRouter):  # type: ignore[misc]  # untyped
    """Production's router beside Ray's default one, of which it inherits both."""

    def initialize_state(self, **kwargs: Any) -> None:
        super().initialize_state(**kwargs)
        self._turns = count()

    async def choose_replicas(
        self,
        candidate_replicas: list[RunningReplica],
        pending_request: PendingRequest | None = None,
    ) -> Ranks:
        routing = _asked_for(pending_request)
        if pending_request is None or routing is Routing.OURS:
            return await CallRouter.choose_replicas(self, candidate_replicas, pending_request)
        if routing is Routing.MULTIPLEX:
            return await self._rays(candidate_replicas, pending_request)
        pending_request.routing_context.should_backoff = True
        if routing is Routing.POWER_OF_TWO:
            return await self._rays(candidate_replicas, None)
        return self._in_turn(candidate_replicas)

    async def _rays(
        self, replicas: list[RunningReplica], pending_request: PendingRequest | None
    ) -> Ranks:
        """Ray's own: by the model of a request, and of no request by queue length alone."""
        chosen: Ranks = await PowerOfTwoChoicesRequestRouter.choose_replicas(
            self, replicas, pending_request
        )
        return chosen

    def _in_turn(self, replicas: list[RunningReplica]) -> Ranks:
        first = next(self._turns) % len(replicas)
        return [[replica] for replica in replicas[first:] + replicas[:first]]


def _asked_for(pending_request: PendingRequest | None) -> Routing:
    """What is no client's request (a bus, a probe) says nothing, and is placed as ever."""
    if pending_request is None:
        return Routing.OURS
    return routing_in(getattr(pending_request.args[0], "request_id", ""))
