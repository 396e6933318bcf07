"""Which adapters this replica's engine holds, and who is using them.

A lease keeps a version resident from before a request until its end. However many requests wait
for a version, it is loaded once; loads follow one another, because a load stops the engine's loop.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.interface import Engine
from serve_app.errors import AdapterLoading

_READ_BYTES = 4 << 20


@dataclass(slots=True)
class _Resident:
    version: Version
    engine_id: int
    loading: asyncio.Task[float]
    leases: int = 0
    last_used: float = 0.0

    @property
    def loaded(self) -> bool:
        return self.loading.done()


class Residency:
    """The versions an engine holds, at most its ``max_cpu_loras``.

    Args:
        on_load: told the seconds each load took.
        room_timeout_s: how long a lease waits for room when every resident version is in use.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: Engine,
        on_load: Callable[[float], None],
        room_timeout_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine = engine
        self._on_load = on_load
        self._room_timeout_s = room_timeout_s
        self._clock = clock
        self._residents: dict[str, _Resident] = {}
        self._engine_ids = count(1)
        self._one_load = asyncio.Lock()
        self._released = asyncio.Condition()

    def names(self) -> frozenset[str]:
        """Names of the versions held or being loaded."""
        return frozenset(self._residents)

    @asynccontextmanager
    async def lease(self, version: Version | None) -> AsyncIterator[float | None]:
        """Hold ``version`` resident; yields the seconds its load took, None if it was there.

        Raises:
            AdapterLoading: no room within the timeout, every resident version being in use.
            AdapterRefused: the engine would not take it.
        """
        if version is None:
            yield None
            return
        cold = version.name not in self._residents
        resident = await self._enter(version)
        try:
            load_s = await asyncio.shield(resident.loading)
            yield load_s if cold else None
        finally:
            resident.leases -= 1
            resident.last_used = self._clock()
            async with self._released:
                self._released.notify_all()

    async def _enter(self, version: Version) -> _Resident:
        resident = self._residents.get(version.name)
        if resident is None:
            await self._make_room(version)
            resident = self._residents.get(version.name) or self._begin_load(version)
        resident.leases += 1
        return resident

    def _begin_load(self, version: Version) -> _Resident:
        engine_id = next(self._engine_ids)
        loading = asyncio.create_task(self._load(version, engine_id))
        resident = _Resident(version, engine_id, loading, last_used=self._clock())
        self._residents[version.name] = resident
        return resident

    async def _load(self, version: Version, engine_id: int) -> float:
        began = self._clock()
        try:
            await asyncio.to_thread(_read_through, Path(version.path) / WEIGHTS_FILE)
            async with self._one_load:
                await self._engine.load_adapter(version, engine_id)
        except BaseException:
            self._residents.pop(version.name, None)
            raise
        load_s = self._clock() - began
        self._on_load(load_s)
        return load_s

    async def _make_room(self, version: Version) -> None:
        """Return when one more version fits. Evicts the unleased one used longest ago."""
        try:
            async with asyncio.timeout(self._room_timeout_s):
                while len(self._residents) >= self._engine.max_cpu_loras:
                    if version.name in self._residents:
                        return
                    await self._evict_one()
        except TimeoutError:
            raise AdapterLoading(
                f"adapter {version.adapter!r} is waiting for room on its replica", retry_after_s=2
            ) from None

    async def _evict_one(self) -> None:
        idle = [r for r in self._residents.values() if r.leases == 0 and r.loaded]
        if not idle:
            async with self._released:
                await self._released.wait()
            return
        victim = min(idle, key=lambda resident: resident.last_used)
        del self._residents[victim.version.name]
        async with self._one_load:
            await self._engine.unload_adapter(victim.version, victim.engine_id)


def _read_through(path: Path) -> None:
    """Bring a file into the page cache, so that the engine's own read does not wait for a disk."""
    with path.open("rb", buffering=0) as file:
        while file.read(_READ_BYTES):
            pass
