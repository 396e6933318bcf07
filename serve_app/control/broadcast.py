"""Tells every follower what there is, then what changes. A slow follower gets less, not more."""

import asyncio
from collections.abc import AsyncIterator, Mapping

from serve_app.adapters.catalog import Entry
from serve_app.feed import Tenants, Update

BEAT_S = 1.0


class Broadcast:
    """The catalog in force and those who follow it. Used from one event loop.

    Args:
        beat_s: longest silence of a stream.
    """

    def __init__(self, beat_s: float = BEAT_S) -> None:
        self._beat_s = beat_s
        self._entries: dict[str, Entry] = {}
        self._tenants: Tenants | None = None
        self._declared = asyncio.Event()
        self._followers: set[_Follower] = set()
        self.revision = 0

    @property
    def followers(self) -> int:
        return len(self._followers)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The catalog in force, by name."""
        return self._entries

    def tell(
        self, revision: int, changes: Mapping[str, Entry | None], tenants: Tenants | None = None
    ) -> None:
        """Put a change in force."""
        self.revision = revision
        for name, entry in changes.items():
            if entry is None:
                self._entries.pop(name, None)
            else:
                self._entries[name] = entry
        if tenants is not None:
            self._tenants = tenants
            self._declared.set()
        for follower in self._followers:
            follower.wake(changes, tenants is not None)

    def become(self, revision: int, entries: Mapping[str, Entry]) -> None:
        """Put another catalog in force, as a change from the one before."""
        gone: dict[str, Entry | None] = dict.fromkeys(self._entries.keys() - entries.keys())
        new = {name: e for name, e in entries.items() if self._entries.get(name) != e}
        self.tell(revision, {**gone, **new})

    async def updates(self, tenants: bool) -> AsyncIterator[Update]:
        """One follower's stream. With ``tenants`` it begins when they are known."""
        if tenants:
            await self._declared.wait()
        follower = _Follower()
        self._followers.add(follower)
        try:
            known = self._tenants if tenants else None
            yield Update(self.revision, whole=True, entries=dict(self._entries), tenants=known)
            while True:
                await follower.woken(self._beat_s)
                names, renewed = follower.take()
                changes = {name: self._entries.get(name) for name in names}
                known = self._tenants if tenants and renewed else None
                yield Update(self.revision, entries=changes, tenants=known)
        finally:
            self._followers.discard(follower)


class _Follower:
    """What one stream still has to tell: names alone, so however slow it is, it is bounded."""

    def __init__(self) -> None:
        self._names: set[str] = set()
        self._tenants = False
        self._wake = asyncio.Event()

    def wake(self, changes: Mapping[str, Entry | None], tenants: bool) -> None:
        self._names.update(changes)
        self._tenants |= tenants
        self._wake.set()

    async def woken(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def take(self) -> tuple[set[str], bool]:
        """What is due. From here on, changes are due again."""
        taken = self._names, self._tenants
        self._names, self._tenants = set(), False
        self._wake.clear()
        return taken
