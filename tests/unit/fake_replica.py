"""A real replica over a fake engine, and a gateway that listens to its bus."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

from serve_app.adapters.catalog import Entry
from serve_app.adapters.report import Report
from serve_app.adapters.version import FILES, Version, digest_of
from serve_app.engine.interface import Stream
from serve_app.engine.replica import Replica
from serve_app.routing.messages import BusMessage, Call, News, Subscription
from serve_app.settings import AppSettings, EngineSettings, RegistrySettings
from serve_app.tenancy.roll import Roll
from tests.unit.fake_control import FakeControl
from tests.unit.fake_engine import FakeEngine, FakeStream
from tests.unit.fakes import FakeMethod

ENGINE = EngineSettings(model="m", bus_gap_s=0, news_interval_s=0.01)


class Engine(FakeEngine):
    """As the replica makes it, from its settings."""

    def __init__(self, _settings: EngineSettings) -> None:
        super().__init__()


@dataclass(frozen=True)
class FakeRead:
    remote: Callable[[str, str], AsyncIterator[bytes]]


class Control(FakeControl):
    """Control as replicas know it.

    Attributes:
        reports: what it was told, in order.
        content: bytes of each file by digest and file name.
        reads: every file that was asked for.
    """

    def __init__(self, **entries: Entry) -> None:
        super().__init__(Roll(), entries)
        self.reports: list[Report] = []
        self.content: dict[tuple[str, str], bytes] = {}
        self.reads: list[tuple[str, str]] = []
        self.report = FakeMethod(self._report)
        self.read = FakeRead(self._read)

    async def _report(self, report: Report) -> None:
        if self.away:
            raise ConnectionError("away")
        self.reports.append(report)

    async def _read(self, digest: str, file: str) -> AsyncIterator[bytes]:
        self.reads.append((digest, file))
        if self.away:
            raise ConnectionError("away")
        yield self.content[digest, file]

    def keep(self, adapter: str, folder: Path) -> Version:
        """Content of the adapter that control alone has."""
        for file in FILES:
            (folder / file).write_bytes(f"{file} of {adapter}".encode())
        digest = digest_of(folder)
        sizes = 0
        for file in FILES:
            self.content[digest, file] = (folder / file).read_bytes()
            sizes += len(self.content[digest, file])
        return Version(adapter, 1, digest, 8, sizes)


def away() -> Control:
    """Control that is not there."""
    control = Control()
    control.away = True
    return control


class NamedReplica(Replica):
    """A replica outside Serve."""

    @staticmethod
    def _id() -> str:
        return "r1"


def settings_in(folder: Path, drain_s: float = 60) -> AppSettings:
    return AppSettings(engine=ENGINE, registry=RegistrySettings(data_dir=folder, drain_s=drain_s))


async def a_replica(
    folder: Path, control: Control | None = None, drain_s: float = 60
) -> tuple[Replica, Engine]:
    """A replica that keeps its files in ``folder``; without ``control`` there is none."""
    replica = NamedReplica.__new__(NamedReplica)
    await replica.__init__(  # type: ignore[misc]
        settings_in(folder, drain_s), "tests.unit.fake_replica:Engine", control or away()
    )
    engine = replica._engine
    assert isinstance(engine, Engine)
    return replica, engine


def on_disk(folder: Path, version: Version) -> Version:
    """A version whose files the replicas of ``folder`` have already."""
    directory = settings_in(folder).registry.artifacts_dir / version.digest
    directory.mkdir(parents=True)
    for file in FILES:
        (directory / file).write_bytes(b"content")
    return version


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
