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
from serve_app.errors import AdapterLoading, AdapterRefused

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
        self._leaving: dict[str, asyncio.Task[None]] = {}
        self._engine_ids = count(1)
        self._one_load = asyncio.Lock()
        self._changed = asyncio.Event()

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
            self._notify()

    async def _enter(self, version: Version) -> _Resident:
        """The version's residency, with one lease more; begins its load if nobody has."""
        try:
            async with asyncio.timeout(self._room_timeout_s):
                while version.name not in self._residents and not self._has_room(version):
                    await self._make_room()
        except TimeoutError:
            raise AdapterLoading(
                f"adapter {version.adapter!r} is waiting for room on its replica", retry_after_s=2
            ) from None
        resident = self._residents.get(version.name) or self._begin_load(version)
        resident.leases += 1
        return resident

    def _has_room(self, version: Version) -> bool:
        """Whether a load may begin: one more fits, and no unload of the same name is under way."""
        held = len(self._residents) + len(self._leaving)
        return held < self._engine.max_cpu_loras and version.name not in self._leaving

    async def _make_room(self) -> None:
        """Evict the version nobody uses that was used longest ago, or wait until that may help."""
        idle = [r for r in self._residents.values() if r.leases == 0 and r.loaded]
        if self._leaving or not idle:
            await self._changed.wait()
        else:
            victim = min(idle, key=lambda resident: resident.last_used)
            await asyncio.shield(self._begin_unload(victim))

    def _begin_load(self, version: Version) -> _Resident:
        engine_id = next(self._engine_ids)
        loading = asyncio.create_task(self._load(version, engine_id))
        resident = _Resident(version, engine_id, loading, last_used=self._clock())
        self._residents[version.name] = resident
        loading.add_done_callback(self._load_ended)
        return resident

    async def _load(self, version: Version, engine_id: int) -> float:
        began = self._clock()
        try:
            await asyncio.to_thread(_read_through, Path(version.path) / WEIGHTS_FILE)
            async with self._one_load:
                await self._engine.load_adapter(version, engine_id)
        except BaseException:
            del self._residents[version.name]
            raise
        load_s = self._clock() - began
        self._on_load(load_s)
        return load_s

    def _load_ended(self, loading: asyncio.Task[float]) -> None:
        if not loading.cancelled():
            loading.exception()  # nobody may be waiting for it any more
        self._notify()

    def _begin_unload(self, resident: _Resident) -> asyncio.Task[None]:
        """It counts against the room until it is done, whoever waits for it."""
        del self._residents[resident.version.name]
        unloading = asyncio.create_task(self._unload(resident))
        self._leaving[resident.version.name] = unloading
        return unloading

    async def _unload(self, resident: _Resident) -> None:
        try:
            async with self._one_load:
                await self._engine.unload_adapter(resident.version, resident.engine_id)
        finally:
            del self._leaving[resident.version.name]
            self._notify()

    def _notify(self) -> None:
        """Wake all who wait for room."""
        self._changed.set()
        self._changed = asyncio.Event()


def _read_through(path: Path) -> None:
    """Bring a file into the page cache, so that the engine's own read does not wait for a disk."""
    try:
        with path.open("rb", buffering=0) as file:
            while file.read(_READ_BYTES):
                pass
    except OSError:
        raise AdapterRefused(
            f"adapter {path.parent.name!r}: its files are gone or cannot be read",
            code="adapter_file_missing",
        ) from None
