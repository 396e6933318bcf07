"""All stays on a replica: how each begins, becomes resident and ends. Nobody else changes them."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from serve_app.adapters.version import Version
from serve_app.engine.eviction import Uses
from serve_app.engine.failures import Failures
from serve_app.engine.interface import Engine, EngineDead
from serve_app.engine.loading import Loading, Stage
from serve_app.engine.places import Patience, Places
from serve_app.engine.retirements import Reason, Retirements
from serve_app.engine.stay import Phase, Stay
from serve_app.errors import AdapterRefused

STAGINGS = 4
"""Versions whose files are fetched at once."""
_LATEST_LOAD_WEIGHS = 0.3


class Witness(Protocol):
    """Told what happens, for metrics. Times in seconds."""

    def loaded(self, stage_s: float, read_s: float, engine_s: float) -> None: ...
    def load_failed(self) -> None: ...
    def evicted(self, reason: str) -> None: ...


class Stays(dict[str, Stay]):
    """Stays by version name.

    Attributes:
        pinned: names of versions that are never let go to make room.
        load_s: seconds a load takes of late, 0 if there was none.
        fault: why the engine must be replaced.
    """

    def __init__(
        self,
        engine: Engine,
        stage: Stage,
        witness: Witness,
        changed: Callable[[], None],
        patience: Patience,
        clock: Callable[[], float],
    ) -> None:
        super().__init__()
        self._witness = witness
        self._on_change = changed
        self._clock = clock
        self._unloads: set[asyncio.Task[None]] = set()
        self.failures = Failures()
        self.retirements = Retirements()
        self.loading = Loading(engine, stage, STAGINGS, clock)
        self.pinned: set[str] = set()
        self.places = Places(
            engine.max_cpu_loras, self, self.pinned, patience, self._make_room, clock
        )
        self.load_s = 0.0
        self.fault: EngineDead | None = None

    def begin(self, version: Version, *, preloaded: bool = False) -> Stay:
        now = self._clock()
        stay = Stay(version, Uses(0.0, now), preloaded, since=now)
        stay.retirement = self.retirements.of(version.name, now)
        self[version.name] = stay
        stay.bringing = asyncio.create_task(self._bring(stay))
        stay.bringing.add_done_callback(_look_at)
        return stay

    async def _bring(self, stay: Stay) -> None:
        """Stage it, find it a place, and let the engine take it."""
        try:
            staged = await self.loading.stage(stay.version)
            await self.places.place(stay)
            engine_s = await self.loading.load(stay, staged.directory)
        except BaseException as error:
            self._over(stay, error)
            raise
        self._witness.loaded(staged.stage_s, staged.read_s, engine_s)
        self._resides(stay, staged.stage_s + staged.read_s + engine_s)

    def _resides(self, stay: Stay, load_s: float) -> None:
        stay.enter(Phase.RESIDENT, self._clock())
        stay.load_s = load_s
        self.load_s += (load_s - self.load_s) * (_LATEST_LOAD_WEIGHS if self.load_s else 1.0)
        self.failures.forget(stay.name)
        self.tend(stay)

    def tend(self, stay: Stay) -> None:
        """What nobody waits for is not brought; what is retired and idle goes."""
        if self.get(stay.name) is stay:
            if stay.unwanted:
                assert stay.bringing is not None
                stay.bringing.cancel()
                self._over(stay)
            elif stay.idle and stay.retirement is not None:
                self._unload(stay, stay.retirement.reason)
        self.changed()

    def _over(self, stay: Stay, error: BaseException | None = None) -> None:
        """The stay has come to its end; what waits for it or its place goes on."""
        if self.get(stay.name) is not stay:
            return
        del self[stay.name]
        self.places.leave(stay)
        if isinstance(error, AdapterRefused):
            self.failures.remember(stay.name, error, self._clock())
            self._witness.load_failed()
        stay.moved.set()
        self.changed()

    def _unload(self, stay: Stay, reason: Reason) -> None:
        """It counts against the room until the engine has let go, whoever waits for it."""
        stay.enter(Phase.LEAVING, self._clock())
        stay.moved = asyncio.Event() if not stay.held_back else stay.moved
        unloading = asyncio.create_task(self._unloaded(stay, reason))
        self._unloads.add(unloading)
        unloading.add_done_callback(self._unloads.discard)

    async def _unloaded(self, stay: Stay, reason: Reason) -> None:
        try:
            await self.loading.unload(stay)
        except Exception as error:
            self.fault = error if isinstance(error, EngineDead) else EngineDead(str(error))
            stay.moved.set()
        else:
            self._witness.evicted(reason)
            self._over(stay)

    def changed(self) -> None:
        self.places.settle()
        self._on_change()

    def _make_room(self, stay: Stay) -> None:
        self._unload(stay, Reason.ROOM)


def _look_at(bringing: "asyncio.Task[None]") -> None:
    """Nobody may be waiting for it any more."""
    if not bringing.cancelled():
        bringing.exception()
