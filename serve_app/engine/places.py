"""The places in an engine: who waits for one, and what is done about it as things change."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from serve_app.engine.room import Moves, Place, decide
from serve_app.engine.stay import Phase, Stay
from serve_app.errors import AdapterLoading


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, and how many, may wait.

    Attributes:
        room_s: how long a version waits for room, and a request for a version to leave.
        turn_s: how long a busy version is left alone while others wait for room.
        requests: requests that may wait for a load or for room at once.
    """

    room_s: float = 30.0
    turn_s: float = 1.0
    requests: int = 1024


class Places:
    """An engine's ``capacity`` places among the ``stays`` on it.

    Args:
        stays: all there are, by name; kept by its owner, who calls ``settle`` when they change.
        pinned: names of those that are never let go to make room.
        unload: lets an idle one go.
    """

    def __init__(
        self,
        capacity: int,
        stays: Mapping[str, Stay],
        pinned: Collection[str],
        patience: Patience,
        unload: Callable[[Stay], None],
        clock: Callable[[], float],
    ) -> None:
        self._capacity = capacity
        self._stays = stays
        self._pinned = pinned
        self._unload = unload
        self._patience = patience
        self._clock = clock
        self._queue: list[Stay] = []
        self._again: asyncio.TimerHandle | None = None

    @property
    def spare(self) -> bool:
        """Whether there is a place that nobody has or waits for."""
        return not self._queue and self._free() > 0

    async def place(self, stay: Stay) -> None:
        """Wait until there is room for it.

        Raises:
            AdapterLoading: there was none in time; or none is to be made for it, nobody having
                asked for it yet.
        """
        if not stay.leases and not self.spare:
            raise AdapterLoading("no room to load an adapter before it is asked for")
        stay.enter(Phase.WAITING, self._clock())
        self._queue.append(stay)
        self.settle()
        try:
            async with asyncio.timeout(self._patience.room_s):
                await stay.placed.wait()
        except TimeoutError:
            raise no_room(stay.version.adapter) from None

    def leave(self, stay: Stay) -> None:
        """Its stay is over, so it does not wait any more."""
        if stay in self._queue:
            self._queue.remove(stay)

    def settle(self) -> None:
        """Something changed: share out the room there is, and make what is missing."""
        moves = self._decide() if self._queue else Moves()
        for stay in self._queue[: moves.admit]:
            stay.enter(Phase.PLACED, self._clock())
            stay.placed.set()
        del self._queue[: moves.admit]
        self._hold_back(moves.hold_back)
        for name in moves.unload:
            self._unload(self._stays[name])
        self._look_again()

    def _decide(self) -> Moves:
        stays = self._stays.values()
        return decide(
            [stay.since for stay in self._queue],
            [
                _as_place(s)
                for s in stays
                if s.phase is Phase.RESIDENT and s.name not in self._pinned
            ],
            free=self._free(),
            leaving=sum(stay.phase is Phase.LEAVING for stay in stays),
            turn_s=self._patience.turn_s,
            now=self._clock(),
        )

    def _free(self) -> int:
        return self._capacity - sum(s.phase >= Phase.PLACED for s in self._stays.values())

    def _hold_back(self, names: frozenset[str]) -> None:
        for stay in self._stays.values():
            if stay.held_back and stay.name not in names and stay.phase is Phase.RESIDENT:
                stay.held_back = False
                stay.moved.set()
            elif not stay.held_back and stay.name in names:
                stay.held_back = True
                stay.moved = asyncio.Event()

    def _look_again(self) -> None:
        """Turns end without anything else changing."""
        if self._again is not None:
            self._again.cancel()
            self._again = None
        if self._queue:
            loop = asyncio.get_running_loop()
            self._again = loop.call_later(self._patience.turn_s, self.settle)


def no_room(adapter: str) -> AdapterLoading:
    return AdapterLoading(
        f"adapter {adapter!r} is waiting for room on its replica", retry_after_s=2
    )


def _as_place(stay: Stay) -> Place:
    return Place(stay.as_candidate(), stay.leases, stay.since, stay.held_back)
