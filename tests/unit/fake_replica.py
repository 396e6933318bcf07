"""A real replica over a fake engine, and a gateway that listens to its bus."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

from serve_app.engine.interface import Stream
from serve_app.engine.replica import Replica
from serve_app.routing.messages import BusMessage, Call, News, Subscription
from serve_app.settings import EngineSettings
from tests.unit.fake_engine import FakeEngine, FakeStream

SETTINGS = EngineSettings(model="m", bus_gap_s=0, news_interval_s=0.01)


class Engine(FakeEngine):
    """As the replica makes it, from its settings."""

    def __init__(self, _settings: EngineSettings) -> None:
        super().__init__()


async def a_replica() -> tuple[Replica, Engine]:
    replica = Replica.__new__(Replica)
    await replica.__init__(SETTINGS, "tests.unit.fake_replica:Engine")  # type: ignore[misc]
    engine = replica._engine
    assert isinstance(engine, Engine)
    return replica, engine


def events(*events: bytes | Exception) -> Callable[[Call], Awaitable[Stream]]:
    async def generated() -> AsyncGenerator[bytes, None]:
        for event in events:
            await asyncio.sleep(0)
            if isinstance(event, Exception):
                raise event
            yield event

    async def answer(_call: Call) -> Stream:
        return FakeStream(generated())

    return answer


class Endless:
    """A stream that says one word and then hangs, and whether it was closed."""

    def __init__(self, word: bytes = b"data: word\n\n") -> None:
        self._word = word
        self.closed = False

    async def __call__(self, _call: Call) -> Stream:
        return FakeStream(self._generated())

    async def _generated(self) -> AsyncGenerator[bytes, None]:
        try:
            yield self._word
            await asyncio.sleep(3600)
        finally:
            self.closed = True


class Listener:
    """A gateway's end of the bus: gathers output by call number, None for its end."""

    def __init__(self, replica: Replica, gateway: str = "g") -> None:
        self.arrived: dict[int, list[bytes | None]] = {}
        self.news: list[News] = []
        self._stream: AsyncIterator[BusMessage] = replica.bus(Subscription(gateway, "r"))
        self.reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        async for message in self._stream:
            if message.news is not None:
                self.news.append(message.news)
            for number, data in message.frames:
                self.arrived.setdefault(number, []).append(data)

    def text(self, call: Call) -> bytes:
        return b"".join(data or b"|" for data in self.arrived.get(call.number, []))

    async def hang_up(self) -> None:
        self.reading.cancel()
        await asyncio.wait([self.reading])
        await self._stream.aclose()  # type: ignore[attr-defined]
