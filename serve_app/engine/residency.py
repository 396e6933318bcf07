"""Which versions this replica's engine holds, and who is using them.

A lease keeps a version resident from before a request until its end. However many wait for a
version it is brought once: staged, read into the page cache, given room, and loaded, one load at a
time because a load stops the engine's loop.

Three ways in which an adapter can end a whole vLLM engine cannot happen here:

1. *A version falls out of the engine's own cache while its files are gone, and is used*: at most
   ``max_cpu_loras`` versions ever take up room, those being loaded and unloaded included, so the
   engine evicts nothing by itself; and a version's files are needed by nobody once its stay is
   over, which is after the engine has confirmed that it let go.
2. *One name under two ids at once*: a name has one stay at a time, a stay one id, and no id is
   given twice. A request for a version that is leaving waits until it has left.
3. *The engine's pins fill its slots, or a load that failed leaves its id behind*: the engine is
   never told to pin, our leases do that; and ``load_adapter`` and ``reconcile`` see to it that
   nothing stays of what was not taken.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager

from serve_app.adapters.report import Held, Residence
from serve_app.adapters.version import Version
from serve_app.engine.interface import Engine
from serve_app.engine.loading import Stage
from serve_app.engine.places import Patience, no_room
from serve_app.engine.retirements import Retirement
from serve_app.engine.stay import Phase, Stay
from serve_app.engine.stays import Stays, Witness
from serve_app.errors import AdapterLoading, AdapterRemoved

PATIENCE = Patience()


class Residency:
    """The versions an engine holds, at most its ``max_cpu_loras``.

    Args:
        stage: has a version's files on this node.
        witness: told of loads and evictions.
        changed: called whenever what ``held`` gives may have changed.
        patience: how long, and how many, may wait.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        engine: Engine,
        stage: Stage,
        witness: Witness,
        changed: Callable[[], None] = lambda: None,
        *,
        patience: Patience = PATIENCE,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._stays = Stays(engine, stage, witness, changed, patience, clock)
        self._patience = patience
        self._clock = clock
        self.waiting = 0

    @asynccontextmanager
    async def lease(self, version: Version | None) -> AsyncIterator[float | None]:
        """Hold ``version`` resident; yields the seconds that took, None if it was there.

        Raises:
            AdapterLoading: no room within the timeout, or too many wait.
            AdapterRefused: it cannot be loaded, or could not a moment ago.
            AdapterRemoved: its adapter was removed and its time to end is over.
            EngineDead: the engine does not answer any more.
        """
        if version is None:
            yield None
            return
        began = self._clock()
        stay = await self._join(version)
        try:
            async with asyncio.timeout(_delay_s(stay, began)) as expiry:
                stay.expiries.add(expiry)
                if stay.phase is Phase.RESIDENT:
                    yield None
                else:
                    await self._brought(stay)
                    yield self._clock() - began
        except TimeoutError:
            if not expiry.expired():
                raise
            raise AdapterRemoved(f"adapter {version.adapter!r} was removed") from None
        finally:
            stay.expiries.discard(expiry)
            self._leave(stay)

    def preload(self, version: Version) -> "asyncio.Task[None] | None":
        """Bring a version nobody has asked for, if there is room to spare; gives its load."""
        if version.name in self._stays or not self.spare:
            return None
        stay = self._stays.begin(version, preloaded=True)
        return stay.bringing

    def retire(self, name: str, abort_after_s: float | None = None) -> None:
        """Unload a version when its last lease ends, at once if it has none.

        Args:
            abort_after_s: its adapter was removed: leases still held after so long are aborted.
        """
        now = self._clock()
        retirement = self._stays.retirements.retire(name, now, abort_after_s)
        self._stays.failures.forget(name)
        stay = self._stays.get(name)
        if stay is not None:
            stay.preloaded = False
            self._reschedule(stay, retirement)
            self._stays.tend(stay)

    def restore(self, name: str) -> None:
        """A version that was retired may answer again."""
        self._stays.retirements.restore(name)
        stay = self._stays.get(name)
        if stay is not None and stay.retirement is not None:
            self._reschedule(stay, None)

    def pin(self, names: Iterable[str]) -> None:
        """These are never let go to make room, once they are resident."""
        self._stays.pinned.update(names)

    def unpin(self, names: Iterable[str]) -> None:
        self._stays.pinned.difference_update(names)
        self._stays.places.settle()

    async def check(self) -> None:
        """Free what the engine holds and nobody knows.

        Raises:
            EngineDead: the engine did not free what it was told to.
        """
        if self._stays.fault is not None:
            raise self._stays.fault
        await self._stays.loading.reconcile(self._stays.values())

    @property
    def spare(self) -> bool:
        """Whether one more version can be loaded without another having to go."""
        return self._stays.places.spare

    @property
    def roomy(self) -> bool:
        """Whether one more version can be loaded without a busy one having to go."""
        return self.spare or any(stay.idle for stay in self._stays.values())

    @property
    def load_s(self) -> float:
        """Seconds a load takes of late, 0 if there was none."""
        return self._stays.load_s

    @property
    def listed(self) -> int:
        """Adapters the engine itself said it holds, when it was last asked."""
        return self._stays.loading.listed

    @property
    def sound(self) -> bool:
        """Whether the engine has freed all it was told to."""
        return self._stays.fault is None

    def stays(self) -> tuple[Stay, ...]:
        """Of all versions on this replica. Not to be changed."""
        return tuple(self._stays.values())

    @property
    def pinned(self) -> int:
        """How many of the versions here are pinned."""
        return sum(name in self._stays.pinned for name in self._stays)

    def held(self) -> tuple[Held, ...]:
        """What is here and how far it has come, and what failed a moment ago."""
        failed = self._stays.failures.reasons(self._clock()).items()
        return tuple(stay.as_held() for stay in self._stays.values()) + tuple(
            Held(name, Residence.FAILED, reason=why) for name, why in failed
        )

    async def _join(self, version: Version) -> Stay:
        """The version's stay, with one lease more; begins one if there is none."""
        stay = self._stays.get(version.name)
        if stay is None or stay.phase is not Phase.RESIDENT or stay.held_back:
            self._may_wait(version)
            stay = await self._until_joinable(version)
        stay.leases += 1
        stay.preloaded = False
        stay.uses = stay.uses.again(self._clock())
        self._stays.changed()
        return stay

    def _may_wait(self, version: Version) -> None:
        self._stays.failures.raise_for(version.name, self._clock())
        if self.waiting >= self._patience.requests:
            raise AdapterLoading("too many requests wait for adapters", retry_after_s=2)

    async def _until_joinable(self, version: Version) -> Stay:
        """Wait while the version is leaving: it comes back under another id."""
        try:
            async with asyncio.timeout(self._patience.room_s):
                while (stay := self._stays.get(version.name)) and not stay.joinable:
                    if self._stays.fault is not None:
                        raise self._stays.fault
                    with self._one_more_waits():
                        await stay.moved.wait()
        except TimeoutError:
            raise no_room(version.adapter) from None
        return stay or self._stays.begin(version)

    async def _brought(self, stay: Stay) -> None:
        assert stay.bringing is not None
        with self._one_more_waits():
            await asyncio.shield(stay.bringing)

    def _leave(self, stay: Stay) -> None:
        """A lease ends."""
        stay.leases -= 1
        self._stays.tend(stay)

    def _reschedule(self, stay: Stay, retirement: Retirement | None) -> None:
        """Its leases end when the retirement says, or by themselves."""
        stay.retirement = retirement
        delay_s = _delay_s(stay, self._clock())
        now = asyncio.get_running_loop().time()
        for expiry in stay.expiries:
            if not expiry.expired():
                expiry.reschedule(None if delay_s is None else now + delay_s)

    @contextmanager
    def _one_more_waits(self) -> Iterator[None]:
        self.waiting += 1
        try:
            yield
        finally:
            self.waiting -= 1


def _delay_s(stay: Stay, now: float) -> float | None:
    """Seconds until leases that begin or are held now are aborted. One that comes later than that
    comes from somebody who knows better, or not yet: it ends by itself."""
    if stay.retirement is None or stay.retirement.abort_at is None:
        return None
    left_s = stay.retirement.abort_at - now
    return left_s if left_s >= 0 else None
