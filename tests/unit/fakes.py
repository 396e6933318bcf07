"""Named stand-ins shared by the unit tests: messages, and the engine deployment's handle."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from serve_app.adapters.version import Version
from serve_app.routing.messages import (
    BusMessage,
    Call,
    Fetch,
    News,
    Operation,
    Placer,
    Reply,
    Subscription,
    Usage,
)

_numbers = itertools.count(1)


def a_version(adapter: str = "acme", number: int = 1, rank: int = 8) -> Version:
    """The adapter's version of that number; another number is other content."""
    digest = sha256(f"{adapter} {number}".encode()).hexdigest()
    return Version(adapter, number, digest, rank, size_bytes=1)


def a_call(
    version: Version | None = None,
    *,
    gateway: str = "g",
    fleet: Placer | None = None,
    operation: Operation = Operation.CHAT,
    number: int | None = None,
) -> Call:
    number = next(_numbers) if number is None else number
    return Call(gateway, number, f"request-{number}", operation, {}, version, fleet)


def news_of(
    holds: Iterable[str] = (), capacity: int = 4, alive: bool = True, **in_flight: int
) -> News:
    return News(frozenset(holds), in_flight, capacity, alive=alive)


async def until(condition: Callable[[], object], timeout_s: float = 5.0) -> None:
    """Wait, without a fixed sleep, until something holds."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - what is waited for is not ours to signal
            await asyncio.sleep(0)


@dataclass
class FakeResponse:
    """What a handle's call returns: awaited for the reply, or cancelled."""

    reply: asyncio.Task[Any]
    cancelled: bool = False

    def __await__(self) -> Any:
        return self.reply.__await__()

    def cancel(self) -> None:
        self.cancelled = True
        self.reply.cancel()


@dataclass
class FakeBus:
    """A long streaming call to one replica. What is put on it arrives; an exception breaks it."""

    subscription: Subscription
    traffic: asyncio.Queue[BusMessage | Exception] = field(default_factory=asyncio.Queue)
    cancelled: bool = False

    def __aiter__(self) -> "FakeBus":
        return self

    async def __anext__(self) -> BusMessage:
        message = await self.traffic.get()
        if isinstance(message, Exception):
            raise message
        return message

    def cancel(self) -> None:
        self.cancelled = True


@dataclass(frozen=True)
class FakeMethod:
    remote: Callable[[Any], Any]


Answer = Callable[[Call, str], Awaitable[Reply]]


class FakeReplicas:
    """Handle of the engine deployment, with Ray's router behind it: a call is asked for its order
    of the running replicas, goes to the first of them, and is answered by ``answer``.

    Attributes:
        routed: the replica of every call, in order.
        responses: what was returned for every call.
        buses: the latest bus to each replica.
        keys: the routing keys that were asked for.
        fetched: the adapters that replicas were told to fetch, and which was told.
    """

    def __init__(self, *replicas: str, answer: Answer | None = None) -> None:
        self.running = replicas
        self.answer: Answer = answer or self._ok
        self.news = news_of()
        self.silent = False
        self.routed: list[str] = []
        self.calls: list[Call] = []
        self.responses: list[FakeResponse] = []
        self.buses: dict[str, FakeBus] = {}
        self.keys: list[str] = []
        self.generate = FakeMethod(self._generate)
        self.hello = FakeMethod(self._hello)
        self.bus = FakeMethod(self._bus)
        self.fetched: list[tuple[str, str]] = []
        self.fetch = FakeMethod(self._fetch)

    def options(self, *, multiplexed_model_id: str = "", stream: bool = False) -> "FakeReplicas":
        if multiplexed_model_id:
            self.keys.append(multiplexed_model_id)
        return self

    def send(
        self, replica: str, call: Call, *data: bytes | None, used: Usage | None = None
    ) -> None:
        """Output of a call over the replica's bus, and what it has used; None ends it."""
        frames = [(call.number, event) for event in data]
        usage = {call.number: used} if used else {}
        self.buses[replica].traffic.put_nowait(BusMessage(frames, None, usage))

    def send_news(self, replica: str) -> None:
        """The replica tells ``news`` over its bus."""
        self.buses[replica].traffic.put_nowait(BusMessage([], self.news))

    def lose(self, replica: str) -> None:
        """The replica's bus breaks."""
        self.buses[replica].traffic.put_nowait(ConnectionError("gone"))

    def _generate(self, call: Call) -> FakeResponse:
        self.calls.append(call)
        response = FakeResponse(asyncio.ensure_future(self._run(call)))
        self.responses.append(response)
        return response

    async def _run(self, call: Call) -> Reply:
        replica = call.rank(self.running)[0]
        self.routed.append(replica)
        call.routed(replica)
        return await self.answer(call, replica)

    def _hello(self, subscription: Subscription) -> FakeResponse:
        assert subscription.fleet is not None
        subscription.fleet.replicas_are(frozenset(self.running))
        return FakeResponse(asyncio.ensure_future(asyncio.sleep(0)))

    def _fetch(self, fetch: Fetch) -> FakeResponse:
        self.fetched += [(fetch.version.name, there) for there in fetch.rank(self.running)]
        return FakeResponse(asyncio.ensure_future(asyncio.sleep(0)))

    def _bus(self, subscription: Subscription) -> FakeBus:
        assert subscription.replica is not None
        self.buses[subscription.replica] = bus = FakeBus(subscription)
        if not self.silent:
            bus.traffic.put_nowait(BusMessage([], self.news))
        return bus

    @staticmethod
    async def _ok(_call: Call, _replica: str) -> Reply:
        return Reply(200, b'{"object":"chat.completion"}', Usage(3, 2))
