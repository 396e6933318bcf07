import asyncio

import orjson
import pytest
from ray.exceptions import RayActorError

from serve_app.errors import (
    ApiError,
    ReplicaLost,
)
from serve_app.gateway.mailbox import BusLost
from serve_app.routing.messages import Reply
from tests.unit.fake_exchange import STREAMED, WHOLE, all_of, hanging, replying
from tests.unit.fakes import until

DEAD = Reply(503, orjson.dumps(ReplicaLost("engine stopped").envelope()), retryable=True)


async def test_last_output_that_never_comes_is_a_lost_replica(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("serve_app.gateway.exchange._LAST_FRAMES_S", 0.02)
    bench = replying(STREAMED)
    with bench.exchange() as exchange:
        bench.buses.mailboxes[0].put(b"a")
        assert await exchange.next(5) == b"a"
        with pytest.raises(ReplicaLost):
            async with asyncio.timeout(1):
                await exchange.next(3)


@pytest.mark.parametrize(
    "lost", [RayActorError(), ConnectionError("reset"), DEAD], ids=["actor", "connection", "engine"]
)
async def test_a_replica_lost_before_the_first_byte_costs_one_retry_elsewhere(
    lost: Reply | Exception,
) -> None:
    bench = replying(lost, WHOLE)
    with bench.exchange() as exchange:
        assert await exchange.whole() is WHOLE
        assert len(set(bench.attempts)) == 2
        assert bench.buses.open_calls == {2}
        assert bench.buses.fleet.outstanding() == 1


async def test_a_bus_lost_before_the_first_byte_costs_one_retry_elsewhere() -> None:
    bench = hanging()
    with bench.exchange() as exchange:
        await until(lambda: bench.attempts)
        bench.buses.mailboxes[0].fail(BusLost())
        assert await exchange.next(0.01) == b""
        await until(lambda: len(set(bench.attempts)) == 2)
        assert bench.replicas.responses[0].cancelled


async def test_a_second_loss_is_told() -> None:
    bench = replying(RayActorError(), RayActorError(), WHOLE)
    with bench.exchange() as exchange, pytest.raises(ReplicaLost) as lost:
        await exchange.whole()
    assert lost.value.status == 503
    assert "Retry-After" in lost.value.headers
    assert len(bench.attempts) == 2


async def test_after_the_first_byte_nothing_is_retried() -> None:
    bench = replying(RayActorError(), WHOLE)
    with bench.exchange() as exchange:
        bench.buses.mailboxes[0].put(b"a")
        assert await exchange.next(5) == b"a"
        with pytest.raises(ReplicaLost):
            await exchange.next(5)
    assert len(bench.attempts) == 1


async def test_an_engine_that_dies_after_the_first_byte_is_an_error_not_an_end() -> None:
    bench = replying(DEAD)
    with bench.exchange() as exchange:
        bench.buses.mailboxes[0].put(b"a")
        assert await exchange.next(5) == b"a"
        with pytest.raises(ApiError) as lost:
            await all_of(exchange)
    assert lost.value.code == "replica_lost"


async def test_an_answer_that_ended_is_complete_though_its_reply_is_lost() -> None:
    bench = replying(RayActorError())
    with bench.exchange() as exchange:
        for data in (b"a", None):
            bench.buses.mailboxes[0].put(data)
        assert await all_of(exchange) == b"a"
    assert len(bench.attempts) == 1
