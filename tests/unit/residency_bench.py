"""A bench to try residency on: a fake engine, files that come when told to, and users of leases."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from serve_app.adapters.report import Residence
from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.places import Patience
from serve_app.engine.residency import Residency
from serve_app.errors import AdapterRefused
from tests.unit.fake_engine import FakeEngine
from tests.unit.fakes import a_version

CLOSING_TURNS = 3
"""A fetch that is given up takes the loop some turns to end."""


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class FakeFiles:
    """Brings versions' files to ``folder``, and says how it went.

    Attributes:
        staged: names of the versions that were asked for, in order.
        under_way: how many are being fetched now, and ``most`` at once so far.
        gates: versions whose files come when the event is set.
        failing: errors by version name.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.staged: list[str] = []
        self.under_way = 0
        self.most = 0
        self.gates: dict[str, asyncio.Event] = {}
        self.failing: dict[str, Exception] = {}

    def path(self, version: Version) -> Path:
        return self._folder / version.digest

    async def stage(self, version: Version) -> Path:
        self.staged.append(version.name)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            if version.name in self.gates:
                await self.gates[version.name].wait()
            if version.name in self.failing:
                raise self.failing[version.name]
        finally:
            try:
                for _ in range(CLOSING_TURNS):
                    await asyncio.sleep(0)
            finally:
                self.under_way -= 1
        path = self.path(version)
        path.mkdir(exist_ok=True)
        (path / WEIGHTS_FILE).write_bytes(b"weights")
        return path


@dataclass
class Witnessed:
    """What residency told its witness."""

    loads: list[float] = field(default_factory=list)
    evictions: list[str] = field(default_factory=list)
    failures: int = 0

    def loaded(self, stage_s: float, read_s: float, engine_s: float) -> None:
        self.loads.append(stage_s + read_s + engine_s)

    def load_failed(self) -> None:
        self.failures += 1

    def evicted(self, reason: str) -> None:
        self.evictions.append(reason)


class Bench:
    """A residency over a fake engine, and users of its leases."""

    def __init__(self, folder: Path, capacity: int, patience: Patience | None = None) -> None:
        self.engine = FakeEngine(capacity)
        self.files = FakeFiles(folder)
        self.clock = Clock()
        self.witness = Witnessed()
        self.on_change: Callable[[], None] = lambda: None
        self.residency = Residency(
            self.engine,
            self.files.stage,
            self.witness,
            self._changed,
            patience=patience or Patience(room_s=5.0, turn_s=3600.0),
            clock=self.clock,
        )

    def _changed(self) -> None:
        self.on_change()

    def version(self, adapter: str) -> Version:
        return a_version(adapter)

    def name(self, adapter: str) -> str:
        return a_version(adapter).name

    def slow(self, adapter: str) -> asyncio.Event:
        """Loads and unloads of the adapter wait for the event."""
        return self.engine.gates.setdefault(self.name(adapter), asyncio.Event())

    def slow_to_fetch(self, adapter: str) -> asyncio.Event:
        """The adapter's files come when the event is set."""
        return self.files.gates.setdefault(self.name(adapter), asyncio.Event())

    def failing(self, adapter: str, error: Exception | None = None) -> None:
        self.engine.failing[self.name(adapter)] = error or AdapterRefused(adapter)

    async def use(self, adapter: str, until_: asyncio.Event | None = None) -> float | None:
        """Lease the adapter until the event, and give the seconds it waited."""
        version = self.version(adapter)
        async with self.residency.lease(version) as waited_s:
            if version.name not in self.engine.names:
                self.engine.violations.append(f"{version.name} leased without being loaded")
            self.engine.leased[version.name] += 1
            self.clock.now += 1
            try:
                await (until_.wait() if until_ else asyncio.sleep(0))
            finally:
                self.engine.leased[version.name] -= 1
        return waited_s

    def start(
        self, adapter: str, until_: asyncio.Event | None = None
    ) -> "asyncio.Task[float | None]":
        return asyncio.create_task(self.use(adapter, until_))

    async def leave(self, *leaving: "asyncio.Task[float | None]") -> None:
        """Users go away."""
        for user in leaving:
            user.cancel()
        await asyncio.wait(leaving)

    def here(self) -> set[str]:
        """Names of all versions residency knows."""
        return {stay.name for stay in self.residency.stays()}

    def holds(self, *adapters: str) -> bool:
        names = {self.name(adapter) for adapter in adapters}
        return self.engine.names == names == self.here()

    def leased(self, adapter: str) -> Callable[[], int]:
        return lambda: self.engine.leased[self.name(adapter)]

    def loading(self, adapter: str) -> Callable[[], bool]:
        return lambda: self.name(adapter) in self.engine.loads

    def staging(self, adapter: str) -> Callable[[], bool]:
        return lambda: self.name(adapter) in self.files.staged

    def states(self) -> dict[str, Residence]:
        """What control would be told, by adapter."""
        return {held.name.partition("@")[0]: held.state for held in self.residency.held()}
