import asyncio
from functools import partial
from typing import Any

import pytest
from ray.exceptions import ActorDiedError
from ray.serve._private.common import (
    DeploymentHandleSource,
    DeploymentID,
    RequestMetadata,
)
from ray.serve._private.request_router.common import PendingRequest
from ray.serve._private.test_utils import FakeRunningReplica

from serve_app.routing import seats
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, Subscription
from serve_app.routing.router import CallRouter
from tests.unit.fakes import a_call, a_version, news_of

FULL, ROOM = 10, 0
ACME, LEGAL = a_version("acme"), a_version("legal")


class Serve:
    """Ray's own router around ours, and replicas that only say how full they are."""

    def __init__(self) -> None:
        self.router = CallRouter(
            deployment_id=DeploymentID(name="engine", app_name="serve_app"),
            handle_source=DeploymentHandleSource.REPLICA,
            initial_backoff_s=0.001,
            max_backoff_s=0.005,
        )
        self.router.initialize_state()
        self.replicas: dict[str, Any] = {}
        self.fleet = Fleet("me", lambda _: None)

    def run(self, **queues: int) -> None:
        """Replicas by id, each with so many requests of the ten it takes."""
        for id_, queue in queues.items():
            replica = self.replicas.setdefault(
                id_, FakeRunningReplica(id_, max_ongoing_requests=FULL)
            )
            replica.set_queue_len_response(queue)
        self.router.update_replicas(list(self.replicas.values()))

    def call(self, version: Any = None) -> Call:
        return a_call(version, gateway="me", fleet=self.fleet)

    async def route(self, call: Call | Subscription, key: str = "base") -> str:
        """As Ray's handle does it, the replica having accepted."""
        id_ = f"internal-{id(call)}"
        metadata = RequestMetadata(
            request_id=id_, internal_request_id=id_, multiplexed_model_id=key
        )
        pending = PendingRequest(args=[call], kwargs={}, metadata=metadata)
        async with asyncio.timeout(5):
            replica = await self.router._choose_replica_for_request(pending)
        self.router.on_request_routed(pending, replica.replica_id, None)
        return str(replica.replica_id.unique_id)


@pytest.fixture
async def serve() -> Serve:
    return Serve()


async def _introduced(serve: Serve, **queues: int) -> None:
    serve.run(**dict.fromkeys(queues, ROOM))
    await serve.route(Subscription("me", None, serve.fleet), "hello")
    for id_ in queues:
        serve.fleet.heard(id_, news_of())
    serve.run(**queues)


async def test_the_fleet_view_learns_of_replicas_by_its_first_call(serve: Serve) -> None:
    await _introduced(serve, r1=ROOM, r2=ROOM)
    assert serve.fleet.answering() == 2


async def test_the_fleet_view_is_told_when_replicas_come_and_go(serve: Serve) -> None:
    changes: list[frozenset[str]] = []
    serve.fleet = Fleet("me", changes.append)
    await _introduced(serve, r1=ROOM)
    serve.run(r2=ROOM)
    serve.router.on_replica_actor_died(serve.replicas["r1"].replica_id)
    assert changes == [{"r1"}, {"r1", "r2"}, {"r2"}]


async def test_a_call_goes_to_the_replica_it_ranks_first(serve: Serve) -> None:
    await _introduced(serve, r1=ROOM, r2=ROOM, r3=ROOM)
    serve.fleet.heard("r2", news_of([ACME.name], others=2))
    assert await serve.route(serve.call(ACME), ACME.name) == "r2"


async def test_a_call_spills_to_the_next_when_the_first_is_full(serve: Serve) -> None:
    await _introduced(serve, r1=FULL, r2=ROOM)
    serve.fleet.heard("r1", news_of([ACME.name]))
    call = serve.call(ACME)
    assert await serve.route(call, ACME.name) == "r2"
    assert call.choice is not None
    assert call.choice.replica == "r2"
    assert serve.fleet.outstanding() == 1


async def test_a_call_waits_while_every_replica_is_full(serve: Serve) -> None:
    await _introduced(serve, r1=FULL)
    routing = asyncio.ensure_future(serve.route(serve.call(ACME), ACME.name))
    await asyncio.sleep(0.02)
    assert not routing.done()
    assert serve.replicas["r1"].num_get_queue_len_calls < 30, "it asks again and again"
    serve.run(r1=ROOM)
    assert await routing == "r1"


async def test_a_call_that_is_cancelled_while_it_waits_leaves_nothing_booked(serve: Serve) -> None:
    await _introduced(serve, r1=FULL)
    call = serve.call(ACME)
    routing = asyncio.ensure_future(serve.route(call, ACME.name))
    await asyncio.sleep(0.01)
    routing.cancel()
    serve.fleet.release(call, served=False)
    await asyncio.sleep(0.02)
    assert serve.fleet.outstanding() == 0


async def test_a_full_replica_never_holds_up_calls_for_another(serve: Serve) -> None:
    await _introduced(serve, r1=FULL, r2=ROOM)
    serve.fleet.heard("r1", news_of([ACME.name], capacity=1000))
    waiting = [serve.route(serve.call(ACME), ACME.name) for _ in range(20)]
    passing = [serve.route(serve.call(LEGAL), LEGAL.name) for _ in range(20)]
    assert set(await asyncio.gather(*waiting, *passing)) == {"r2"}


async def test_a_subscription_goes_to_its_replica_however_full_others_are(serve: Serve) -> None:
    await _introduced(serve, r1=ROOM, r2=ROOM, r3=ROOM)
    for id_ in ("r3", "r1", "r2"):
        assert await serve.route(Subscription("me", id_), f"bus:{id_}") == id_
    assert serve.fleet.outstanding() == 0


async def test_a_subscription_never_goes_to_another_replica(serve: Serve) -> None:
    await _introduced(serve, r1=FULL, r2=ROOM)
    routing = asyncio.ensure_future(serve.route(Subscription("me", "r1"), "bus:r1"))
    await asyncio.sleep(0.02)
    assert not routing.done()
    routing.cancel()


async def test_calls_of_one_adapter_that_swap_replicas_keep_the_books_right(serve: Serve) -> None:
    await _introduced(serve, r1=ROOM, r2=ROOM)
    calls = [serve.call(ACME) for _ in range(6)] + [serve.call() for _ in range(6)]
    went = await asyncio.gather(
        *(serve.route(call, call.version.name if call.version else "base") for call in calls)
    )
    chosen = [call.choice.replica for call in calls if call.choice]
    assert chosen == list(went)
    assert serve.fleet.outstanding() == len(calls)
    for call in calls:
        serve.fleet.release(call, served=True)
    assert serve.fleet.outstanding() == 0
    assert not serve.fleet.is_(partial(seats.full, 1))


async def test_a_replica_that_is_found_dead_is_passed_over_and_forgotten(serve: Serve) -> None:
    await _introduced(serve, r1=ROOM, r2=ROOM)
    serve.fleet.heard("r1", news_of([ACME.name]))
    serve.replicas["r1"].set_queue_len_response(ROOM, exception=ActorDiedError())
    assert await serve.route(serve.call(ACME), ACME.name) == "r2"
    assert serve.fleet.answering() == 1


async def test_a_call_waits_for_the_first_replica_to_appear(serve: Serve) -> None:
    routing = asyncio.ensure_future(serve.route(serve.call(ACME), ACME.name))
    await asyncio.sleep(0.01)
    assert not routing.done()
    serve.run(r1=ROOM)
    assert await routing == "r1"


async def test_a_probe_without_a_request_may_use_every_replica(serve: Serve) -> None:
    serve.run(r1=ROOM, r2=ROOM)
    replicas = list(serve.replicas.values())
    assert await serve.router.choose_replicas(replicas) == [replicas]
