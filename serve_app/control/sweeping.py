"""Lets go of what is not needed: versions no replica holds, then content nobody refers to."""

import asyncio
import logging
from collections.abc import Callable, Mapping

from serve_app.control.adapter import Adapter, State, let_go
from serve_app.control.book import Book, Change, Deed
from serve_app.control.fleet import Fleet
from serve_app.control.ledger import Ledger
from serve_app.control.registering import Contents

LOGGER = logging.getLogger("ray.serve")
SWEEPER = "control"
LOOK_S = 10.0
"""Seconds between two looks at all that is kept, unless content is to go sooner."""


class Sweeper:
    """Sweeps when it is told to.

    Args:
        in_use: content that is about to be referred to.
        grace_s: content stays for so long after the last version of it was gone.
        clock: unix time in seconds.
        monotonic: seconds of the clock that ``fleet`` is told.
    """

    def __init__(
        self,
        ledger: Ledger,
        fleet: Fleet,
        contents: Contents,
        in_use: Callable[[], frozenset[str]],
        grace_s: float,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._contents = contents
        self._in_use = in_use
        self._grace_s = grace_s
        self._clock = clock
        self._monotonic = monotonic
        self._look_at = float("-inf")
        self._unreferenced: dict[str, float] = {}

    async def sweep(self) -> None:
        """One round.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        now = self._monotonic()
        self._fleet.expire(now)
        if released(self._ledger.book, self._fleet, now):
            await self._ledger.write(self._letting_go)
        if now >= self._look_at:
            self._look_at = now + min(LOOK_S, self._grace_s)
            await self._delete_unreferenced()

    def _letting_go(self, book: Book, _revision: int) -> Change | None:
        """Retiring versions that no replica holds are gone."""
        now = int(self._clock())
        found = released(book, self._fleet, self._monotonic())
        if not found:
            return None
        after = [let_go(book.adapters[name], numbers, now) for name, numbers in found.items()]
        deeds = [_gone(adapter, found[adapter.name], now) for adapter in after]
        return Change(tuple(deeds), tuple(after))

    async def _delete_unreferenced(self) -> None:
        kept = await asyncio.to_thread(self._contents.digests)
        for digest in self._due(self._ledger.book, kept):
            await self._ledger.write(
                lambda book, _revision, digest=digest: self._delete(book, digest)  # type: ignore[misc]
            )

    def _due(self, book: Book, kept: frozenset[str]) -> list[str]:
        """What has been without reference for longer than the grace."""
        now, unix = self._monotonic(), self._clock()
        loose = {digest for digest in kept - self._in_use() if digest not in book.references}
        since = {digest: self._unreferenced.get(digest, now) for digest in loose}
        self._unreferenced = since
        waited = {
            digest: max(now - since[digest], unix - book.gone_at.get(digest, unix))
            for digest in loose
        }
        return sorted(digest for digest, s in waited.items() if s >= self._grace_s)

    def _delete(self, book: Book, digest: str) -> None:
        """Inside a transaction, so that nobody puts it in force meanwhile. Writes nothing."""
        if digest in book.references or digest in self._in_use():
            return
        LOGGER.info("content %s is deleted: nothing refers to it", digest)
        self._contents.remove(digest)
        self._unreferenced.pop(digest, None)


def released(book: Book, fleet: Fleet, now: float) -> Mapping[str, frozenset[int]]:
    """Retiring versions that have left every replica, by adapter."""
    found = {name: _released(book.adapters[name], fleet, now) for name in book.retiring}
    return {name: numbers for name, numbers in found.items() if numbers}


def _released(adapter: Adapter, fleet: Fleet, now: float) -> frozenset[int]:
    return frozenset(
        number
        for number in adapter.numbers(State.RETIRING)
        if fleet.released(
            adapter.versions[number].version.name, adapter.versions[number].retired or 0, now
        )
    )


def _gone(adapter: Adapter, numbers: frozenset[int], now: int) -> Deed:
    return Deed(now, SWEEPER, "gone", adapter.name, adapter.owner, {"versions": sorted(numbers)})
