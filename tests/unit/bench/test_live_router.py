from collections import Counter
from typing import Any

import pytest
from ray.serve._private.common import DeploymentHandleSource, DeploymentID, RequestMetadata
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.test_utils import FakeRunningReplica

from serve_app.bench.live.router import LiveRouter
from serve_app.bench.live.routings import Routing, mark
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, Subscription
from tests.unit.fakes import a_call, a_version, news_of

ACME = a_version("acme")


class Serve:
    """Ray's own router around the benchmark's, and replicas that only say how full they are."""

    def __init__(self, *names: str) -> None:
        self.router = LiveRouter(
            deployment_id=DeploymentID(name="engine", app_name="serve_app"),
            handle_source=DeploymentHandleSource.REPLICA,
            self_node_id="here",
        )
        self.router.initialize_state()
        self.fleet = Fleet("me", lambda _: None)
        self.replicas: dict[str, Any] = {
            name: FakeRunningReplica(name, max_ongoing_requests=100) for name in names
        }
        self.queues()

    def queues(self, **lengths: int) -> None:
        for name, replica in self.replicas.items():
            replica.set_queue_len_response(lengths.get(name, 0))
        self.router.update_replicas(list(self.replicas.values()))

    def ray_knows(self, **models: set[str]) -> None:
        """What Serve's controller tells of multiplexed models."""
        for name, replica in self.replicas.items():
            replica._model_ids = models.get(name, set())
        self.router.update_replicas(list(self.replicas.values()))

    def call(self, routing: Routing, number: int = 1) -> Call:
        call = a_call(ACME, gateway="me", fleet=self.fleet)
        call.request_id = mark(routing, number)
        call.number = number
        return call

    async def route(self, call: Call | Subscription, key: str = ACME.name) -> str:
        """As Ray's handle does it, the replica having accepted."""
        id_ = f"internal-{id(call)}"
        metadata = RequestMetadata(
            request_id=id_, internal_request_id=id_, multiplexed_model_id=key
        )
        pending = PendingRequest(args=[call], kwargs={}, metadata=metadata)
        replica = await self.router._choose_replica_for_request(pending)
        self.router.on_request_routed(pending, replica.replica_id, None)
        return str(replica.replica_id.unique_id)

    async def meet(self) -> None:
        await self.route(Subscription("me", None, self.fleet), "hello")
        for name in self.replicas:
            self.fleet.heard(name, news_of())


@pytest.fixture
async def serve() -> Serve:
    serve = Serve("r1", "r2", "r3")
    await serve.meet()
    return serve


async def test_ours_goes_where_the_gateways_view_says(serve: Serve) -> None:
    serve.fleet.heard("r2", news_of([ACME.name]))
    serve.ray_knows(r3={ACME.name})
    for number in range(5):
        assert await serve.route(serve.call(Routing.OURS, number)) == "r2"


async def test_rays_multiplex_goes_by_what_ray_knows_of_models(serve: Serve) -> None:
    serve.fleet.heard("r2", news_of([ACME.name]))
    serve.ray_knows(r3={ACME.name}, r1={"another"})
    for number in range(5):
        assert await serve.route(serve.call(Routing.MULTIPLEX, number)) == "r3"


async def test_rays_multiplex_takes_the_replica_with_fewest_models_for_a_new_one(
    serve: Serve,
) -> None:
    serve.ray_knows(r1={"a", "b"}, r2={"c"}, r3={"d", "e"})
    assert await serve.route(serve.call(Routing.MULTIPLEX)) == "r2"


async def test_power_of_two_goes_by_queues_and_never_takes_the_longest(serve: Serve) -> None:
    serve.ray_knows(r3={ACME.name})
    serve.queues(r1=1, r2=2, r3=9)
    went = [await serve.route(serve.call(Routing.POWER_OF_TWO, n)) for n in range(30)]
    assert set(went) == {"r1", "r2"}


async def test_round_robin_takes_every_replica_in_its_turn(serve: Serve) -> None:
    serve.fleet.heard("r2", news_of([ACME.name]))
    went = [await serve.route(serve.call(Routing.ROUND_ROBIN, n)) for n in range(9)]
    assert Counter(went) == {"r1": 3, "r2": 3, "r3": 3}
    assert went[:3] == went[3:6]


@pytest.mark.parametrize("routing", list(Routing))
async def test_whoever_places_a_call_it_is_booked_in_the_gateways_view(
    serve: Serve, routing: Routing
) -> None:
    call = serve.call(routing)
    went = await serve.route(call)
    assert call.choice is not None
    assert call.choice.replica == went
    assert serve.fleet.outstanding() == 1
    serve.fleet.release(call, served=True)
    assert serve.fleet.outstanding() == 0


async def test_a_bus_goes_to_its_replica_whatever_is_measured(serve: Serve) -> None:
    serve.queues(r1=50)
    assert await serve.route(Subscription("me", "r1"), "bus:r1") == "r1"
