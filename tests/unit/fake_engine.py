"""A stand-in for vLLM that checks what is asked of it."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.interface import EngineDead, EngineLoad, Stream, Whole
from serve_app.routing.messages import Call, Usage

USAGE = Usage(3, 2)


@dataclass
class FakeStream:
    """An engine's streamed answer, scripted."""

    events: AsyncGenerator[bytes, None]
    usage: Usage = field(default_factory=lambda: USAGE)


class FakeEngine:
    """Holds adapters as an engine does and checks what is asked of it.

    Attributes:
        holding: version names by engine id, of which it can hold ``max_cpu_loras``.
        directories: where the files of each version it holds are.
        leased: how many users of each version the test itself knows of.
        gates: versions whose load and unload wait for the event.
        pause_s: how long every load and unload takes.
        failing: errors by version name, raised by its load.
        keeping: versions it does not free when told to.
        script: what ``answer`` does.
    """

    def __init__(self, max_cpu_loras: int = 2, max_num_seqs: int = 4) -> None:
        self.max_cpu_loras = max_cpu_loras
        self.max_loras = max_cpu_loras
        self.max_num_seqs = max_num_seqs
        self.holding: dict[int, str] = {}
        self.directories: dict[str, Path] = {}
        self.loads: list[str] = []
        self.unloads: list[str] = []
        self.ids: set[int] = set()
        self.leased: Counter[str] = Counter()
        self.gates: dict[str, asyncio.Event] = {}
        self.failing: dict[str, Exception] = {}
        self.keeping: set[str] = set()
        self.violations: list[str] = []
        self.pause_s = 0.0
        self.busy = False
        self.alive = True
        self.stopped = False
        self.script: Callable[[Call], Awaitable[Whole | Stream]] = self._whole

    @property
    def names(self) -> set[str]:
        return set(self.holding.values())

    async def start(self) -> None: ...

    async def answer(self, call: Call) -> Whole | Stream:
        if call.version is not None and call.version.name not in self.names:
            self.violations.append(f"{call.version.name} answers without being loaded")
        return await self.script(call)

    async def load_adapter(self, version: Version, directory: Path, engine_id: int) -> None:
        self.loads.append(version.name)
        with self._alone(f"load {version.name}"):
            self._check(engine_id not in self.ids, f"id {engine_id} was used before")
            self._check(version.name not in self.names, f"{version.name} under two ids")
            self.ids.add(engine_id)
            await self._pause(version.name)
            if version.name in self.failing:
                raise self.failing[version.name]
            self._check((directory / WEIGHTS_FILE).is_file(), f"{version.name} has no files")
            self.holding[engine_id] = version.name
            self.directories[version.name] = directory
            self._check(len(self.holding) <= self.max_cpu_loras, f"holds {self.names}")

    async def unload_adapter(self, engine_id: int) -> None:
        name = self.holding[engine_id]
        self.unloads.append(name)
        with self._alone(f"unload {name}"):
            self._check(not self.leased[name], f"{name} unloaded in use")
            await self._pause(name)
            if name in self.keeping:
                raise EngineDead(f"keeps {name}")
            self._check(not self.leased[name], f"{name} leased while it was unloaded")
            del self.holding[engine_id]
            self.directories.pop(name, None)

    async def held(self) -> frozenset[int]:
        return frozenset(self.holding)

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

    async def _pause(self, name: str) -> None:
        await asyncio.sleep(self.pause_s)
        if name in self.gates:
            await self.gates[name].wait()

    def _check(self, holds: bool, violation: str) -> None:
        if not holds:
            self.violations.append(violation)

    @staticmethod
    async def _whole(_call: Call) -> Whole | Stream:
        return Whole(200, b'{"object":"chat.completion"}', USAGE)
