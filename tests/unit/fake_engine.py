"""A stand-in for vLLM that checks what is asked of it, and a bench to try residency on."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.interface import EngineDead, EngineLoad, Stream, Whole
from serve_app.engine.residency import Residency
from serve_app.errors import AdapterRefused
from serve_app.routing.messages import Call, Usage
from tests.unit.fakes import a_version

USAGE = Usage(3, 2)


@dataclass
class FakeStream:
    """An engine's streamed answer, scripted."""

    events: AsyncGenerator[bytes, None]
    usage: Usage = field(default_factory=lambda: USAGE)


class FakeEngine:
    """Holds adapters as an engine does and checks what is asked of it.

    Attributes:
        held: engine ids by version name, of which it can hold ``max_cpu_loras``.
        leased: how many users of each version the test itself knows of.
        gates: versions whose load and unload wait for the event.
        pause_s: how long every load and unload takes.
        failing: errors by version name, raised by its load.
        script: what ``answer`` does.
    """

    def __init__(self, max_cpu_loras: int = 2, max_num_seqs: int = 4) -> None:
        self.max_cpu_loras = max_cpu_loras
        self.max_num_seqs = max_num_seqs
        self.held: dict[str, int] = {}
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.ids: set[int] = set()
        self.leased: dict[str, int] = {}
        self.gates: dict[str, asyncio.Event] = {}
        self.failing: dict[str, Exception] = {}
        self.violations: list[str] = []
        self.pause_s = 0.0
        self.busy = False
        self.alive = True
        self.stopped = False
        self.script: Callable[[Call], Awaitable[Whole | Stream]] = self._whole

    async def start(self) -> None: ...

    async def answer(self, call: Call) -> Whole | Stream:
        if call.version is not None and call.version.name not in self.held:
            self.violations.append(f"{call.version.name} answers without being loaded")
        return await self.script(call)

    async def load_adapter(self, version: Version, engine_id: int) -> None:
        self.loads.append(version.name)
        with self._alone(f"load {version.name}"):
            self._check(engine_id not in self.ids, f"id {engine_id} was used before")
            self.ids.add(engine_id)
            await self._pause(version)
            if version.name in self.failing:
                raise self.failing[version.name]
            self._check(version.name not in self.held, f"{version.name} loaded twice")
            self.held[version.name] = engine_id
            self._check(len(self.held) <= self.max_cpu_loras, f"holds {sorted(self.held)}")

    async def unload_adapter(self, version: Version, engine_id: int) -> None:
        self.unloads.append(version.name)
        with self._alone(f"unload {version.name}"):
            self._check(not self.leased.get(version.name), f"{version.name} unloaded in use")
            await self._pause(version)
            self._check(self.held.pop(version.name, None) == engine_id, "unloaded another id")

    def load(self) -> EngineLoad:
        return EngineLoad(alive=self.alive)

    async def check(self) -> None:
        if not self.alive:
            raise EngineDead("dead")

    def stop(self) -> None:
        self.stopped = True

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        self._check(not self.busy, f"{what} while another load runs")
        self.busy = True
        try:
            yield
        finally:
            self.busy = False

    async def _pause(self, version: Version) -> None:
        await asyncio.sleep(self.pause_s)
        if version.name in self.gates:
            await self.gates[version.name].wait()

    def _check(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)

    @staticmethod
    async def _whole(_call: Call) -> Whole | Stream:
        return Whole(200, b'{"object":"chat.completion"}', USAGE)


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """A residency over a fake engine, and users of its leases."""

    def __init__(self, folder: Path, capacity: int, room_timeout_s: float = 5.0) -> None:
        (folder / WEIGHTS_FILE).write_bytes(b"weights")
        self._path = str(folder)
        self.engine = FakeEngine(capacity)
        self.clock = Clock()
        self.load_times: list[float] = []
        self.residency = Residency(
            self.engine, self.load_times.append, room_timeout_s, clock=self.clock
        )

    def version(self, adapter: str) -> Version:
        return a_version(adapter, self._path)

    def slow(self, adapter: str) -> asyncio.Event:
        """Loads and unloads of the adapter wait for the event."""
        gate = self.engine.gates[self.version(adapter).name] = asyncio.Event()
        return gate

    def failing(self, adapter: str, error: Exception | None = None) -> None:
        name = self.version(adapter).name
        self.engine.failing[name] = error or AdapterRefused(adapter)

    async def use(self, adapter: str, until_: asyncio.Event | None = None) -> float | None:
        """Lease the adapter until the event, and give the seconds its load took."""
        version = self.version(adapter)
        async with self.residency.lease(version) as load_s:
            self.engine.leased[version.name] = self.engine.leased.get(version.name, 0) + 1
            self.clock.now += 1
            try:
                await (until_.wait() if until_ else asyncio.sleep(0))
            finally:
                self.engine.leased[version.name] -= 1
        return load_s

    def start(
        self, adapter: str, until_: asyncio.Event | None = None
    ) -> "asyncio.Task[float | None]":
        return asyncio.create_task(self.use(adapter, until_))

    def holds(self, *adapters: str) -> bool:
        names = {self.version(adapter).name for adapter in adapters}
        return self.engine.held.keys() == names == self.residency.names()

    def leased(self, adapter: str) -> Callable[[], object]:
        return lambda: self.engine.leased.get(self.version(adapter).name)

    def loading(self, adapter: str) -> Callable[[], object]:
        return lambda: self.version(adapter).name in self.engine.loads
