import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from contextvars import ContextVar

import pytest

from serve_app.gateway.buses import Buses
from serve_app.gateway.exchange import Exchange
from serve_app.gateway.mailbox import BusLost, Mailbox
from serve_app.routing.messages import BusMessage, Call, Reply, Subscription
from tests.unit.fakes import FakeBus, FakeReplicas, FakeResponse, a_call, news_of, until

R1, R2 = "r1", "r2"
REQUEST: ContextVar[str] = ContextVar("request", default="none")


@pytest.fixture(autouse=True)
def _retry_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.gateway.buses._RETRY_S", 0.001)


@pytest.fixture
async def replicas() -> FakeReplicas:
    return FakeReplicas(R1, R2)


@pytest.fixture
async def buses(replicas: FakeReplicas) -> AsyncIterator[Buses]:
    buses = Buses(replicas, "g")
    await until(lambda: buses.fleet.answering() == 2)
    yield buses
    await buses.hang_up()


def _open(buses: Buses, replica: str) -> tuple[Call, Mailbox]:
    """A call on its way to a replica, and its mailbox."""
    call = a_call(fleet=buses.fleet)
    mailbox = buses.open(call, max_bytes=1000)
    call.rank((replica,))
    return call, mailbox


async def _arrival(mailbox: Mailbox) -> bytes | None:
    async with asyncio.timeout(1):
        await mailbox.arrived()
    return mailbox.take()


async def test_every_replica_gets_one_bus_under_a_key_of_its_own(
    replicas: FakeReplicas, buses: Buses
) -> None:
    assert replicas.buses.keys() == {R1, R2}
    assert sorted(replicas.keys) == ["bus:r1", "bus:r2", "hello"]
    assert replicas.buses[R1].subscription == Subscription("g", R1)


async def test_the_fleet_is_met_however_long_the_first_replica_takes() -> None:
    class Late(FakeReplicas):
        def _hello(self, subscription: Subscription) -> FakeResponse:
            if self.keys.count("hello") < 3:
                raise ConnectionError("no replica yet")
            return super()._hello(subscription)

    buses = Buses(Late(R1), "g")
    await until(lambda: buses.fleet.answering() == 1)
    await buses.hang_up()


async def test_output_goes_to_the_mailbox_of_its_call(replicas: FakeReplicas, buses: Buses) -> None:
    (first, one), (second, two) = _open(buses, R1), _open(buses, R1)
    assert first.number != second.number
    replicas.send(R1, first, b"a")
    replicas.send(R1, second, b"b", None)
    assert await _arrival(one) == b"a"
    assert await _arrival(two) == b"b"
    assert two.take() is None
    assert one.take() == b""


async def test_output_of_a_call_that_is_closed_is_thrown_away(
    replicas: FakeReplicas, buses: Buses
) -> None:
    (closed, gone), (call, mailbox) = _open(buses, R1), _open(buses, R1)
    buses.close(closed)
    replicas.send(R1, closed, b"late")
    replicas.send(R1, call, b"a")
    assert await _arrival(mailbox) == b"a"
    assert gone.take() == b""


async def test_a_call_sent_again_hears_nothing_of_its_first_attempt(
    replicas: FakeReplicas, buses: Buses
) -> None:
    call, _ = _open(buses, R1)
    first_number = call.number
    buses.close(call)
    again = buses.open(call, 1000)
    assert call.number != first_number
    late = BusMessage([(first_number, b"old"), (call.number, b"new")], None)
    replicas.buses[R1].traffic.put_nowait(late)
    assert await _arrival(again) == b"new"


async def test_a_broken_bus_fails_the_calls_on_its_replica_and_no_others(
    replicas: FakeReplicas, buses: Buses
) -> None:
    (_, lost), (_, unharmed) = _open(buses, R1), _open(buses, R2)
    replicas.silent = True
    replicas.lose(R1)
    with pytest.raises(BusLost):
        await _arrival(lost)
    assert unharmed.take() == b""
    assert buses.fleet.answering() == 1


async def test_a_broken_bus_is_opened_again(replicas: FakeReplicas, buses: Buses) -> None:
    broken = replicas.buses[R1]
    replicas.lose(R1)
    await until(lambda: replicas.buses[R1] is not broken)
    await until(lambda: buses.fleet.answering() == 2)
    assert broken.cancelled


async def test_a_new_replica_is_listened_to(replicas: FakeReplicas, buses: Buses) -> None:
    buses.fleet.replicas_are(frozenset({R1, R2, "r3"}))
    await until(lambda: buses.fleet.answering() == 3)


async def test_a_replica_that_was_gone_for_a_moment_is_heard_again(
    replicas: FakeReplicas, buses: Buses
) -> None:
    """Ray forgets a replica on one failed call and learns of it again from its controller."""
    buses.fleet.replicas_are(frozenset({R2}))
    buses.fleet.replicas_are(frozenset({R1, R2}))
    await asyncio.sleep(0.01)
    replicas.buses[R1].traffic.put_nowait(BusMessage([], news_of()))
    await until(lambda: buses.fleet.answering() == 2, timeout_s=1)


async def test_a_replica_that_drains_is_heard_out(replicas: FakeReplicas, buses: Buses) -> None:
    call, mailbox = _open(buses, R1)
    draining = replicas.buses[R1]
    buses.fleet.replicas_are(frozenset({R2}))
    await asyncio.sleep(0.01)
    replicas.send(R1, call, b"last words", None)
    assert await _arrival(mailbox) == b"last words"
    assert not draining.cancelled
    buses.close(call)
    draining.traffic.put_nowait(BusMessage([], news_of()))
    await until(lambda: draining.cancelled)
    assert replicas.buses[R1] is draining


async def test_a_replica_that_leaves_before_it_spoke_is_not_waited_for(
    replicas: FakeReplicas, buses: Buses
) -> None:
    """Its subscription would be tried for ever and hold up one of Ray's few routing tasks."""
    replicas.silent = True
    buses.fleet.replicas_are(frozenset({R1, R2, "r3"}))
    await until(lambda: "r3" in replicas.buses)
    buses.fleet.replicas_are(frozenset({R1, R2}))
    await until(lambda: replicas.buses["r3"].cancelled, timeout_s=1)


async def test_hanging_up_closes_every_bus(replicas: FakeReplicas) -> None:
    buses = Buses(replicas, "g")
    await until(lambda: buses.fleet.answering() == 2)
    await buses.hang_up()
    assert [bus.cancelled for bus in replicas.buses.values()] == [True, True]


async def test_a_bus_does_not_live_in_the_request_that_caused_it() -> None:
    seen: list[str] = []

    class Watched(FakeReplicas):
        def _bus(self, subscription: Subscription) -> FakeBus:
            seen.append(REQUEST.get())
            return super()._bus(subscription)

    watched = Buses(Watched(R1), "g")
    await until(lambda: seen)
    token = REQUEST.set("a client's")
    watched.fleet.replicas_are(frozenset({R1, R2}))
    REQUEST.reset(token)
    await until(lambda: len(seen) == 2)
    await watched.hang_up()
    assert seen == ["none", "none"]


@pytest.mark.parametrize(
    "late",
    [lambda call: call.rank((R2, R1)), lambda call: call.routed(R2)],
    ids=["placed", "routed"],
)
async def test_a_call_that_is_over_is_never_booked_again(
    buses: Buses, late: Callable[[Call], object]
) -> None:
    """Ray's router may still be at work on a call whose client has gone."""
    call, _ = _open(buses, R1)
    buses.close(call)
    buses.fleet.release(call, served=False)
    late(call)
    assert buses.fleet.outstanding() == 0


async def test_news_of_a_lost_bus_do_not_fail_the_retry(
    replicas: FakeReplicas, buses: Buses
) -> None:
    """The call finds its replica dead before the bus does, and is on its way to another."""
    placed = asyncio.Event()

    class Slow(FakeReplicas):
        async def _run(self, call: Call) -> Reply:
            if self.routed:
                await placed.wait()
            return await super()._run(call)

    async def answer(_call: Call, replica: str) -> Reply:
        if len(handle.routed) == 1:
            raise ConnectionError("gone")
        return Reply(200, b"{}")

    handle = Slow(R1, R2, answer=answer)
    deadline = asyncio.get_running_loop().time() + 5
    call = a_call(fleet=buses.fleet)
    exchange = Exchange(call, buses, lambda _: handle, deadline, 1000)
    exchange.open()
    with closing(exchange):
        answering = asyncio.ensure_future(exchange.whole())
        await until(lambda: len(handle.responses) == 2)
        replicas.lose(handle.routed[0])
        await asyncio.sleep(0.01)
        placed.set()
        assert (await answering).status == 200
    assert len(handle.responses) == 2
