"""Tells every follower what there is, then what changes. A slow follower gets less, not more."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import islice
from typing import Any

from serve_app.adapters.catalog import Entry
from serve_app.feed import Update

BEAT_S = 1.0
PART = 2000
"""Names told in one message at most: Ray takes no message above 4 MB, and one is 0.3 kB about."""

_KINDS = ("entries", "tenants", "keys", "experiments")
Known = dict[str, dict[Any, Any]]
Names = dict[str, set[Any]]


class Broadcast:
    """What is in force and those who follow it. Used from one event loop.

    Args:
        beat_s: longest silence of a stream.
    """

    def __init__(self, beat_s: float = BEAT_S) -> None:
        self._beat_s = beat_s
        self._known: Known = {kind: {} for kind in _KINDS}
        self._declared = asyncio.Event()
        self._followers: set[_Follower] = set()
        self.revision = 0

    @property
    def followers(self) -> int:
        return len(self._followers)

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The catalog in force, by name."""
        return self._known["entries"]

    def declared(self) -> None:
        """Tenants are known from here on: those who wait for them are told."""
        self._declared.set()

    def tell(self, update: Update) -> None:
        """Put a change in force."""
        self.revision = update.revision
        for kind, known in self._known.items():
            for name, value in getattr(update, kind).items():
                if value is None:
                    known.pop(name, None)
                else:
                    known[name] = value
        for follower in self._followers:
            follower.wake(update)

    def become(self, update: Update) -> None:
        """Put something else in force, as a change from what was before."""
        changes = {k: _changes(known, getattr(update, k)) for k, known in self._known.items()}
        self.tell(_update(update.revision, changes))

    async def updates(self, tenants: bool) -> AsyncIterator[Update]:
        """One follower's stream. With ``tenants`` it begins when they are known."""
        if tenants:
            await self._declared.wait()
        kinds = _KINDS if tenants else _KINDS[:1]
        follower = _Follower()
        self._followers.add(follower)
        try:
            everything = {kind: self._known[kind].keys() for kind in kinds}
            for part in self._parts(everything, whole=True):
                yield part
            while True:
                await follower.woken(self._beat_s)
                due = follower.take()
                for part in self._parts({kind: due[kind] for kind in kinds}, whole=False):
                    yield part
        finally:
            self._followers.discard(follower)

    def _parts(self, names: Mapping[str, Iterable[Any]], *, whole: bool) -> list[Update]:
        """What there is under ``names``, in messages that are not too large."""
        pairs = iter([(kind, name) for kind in names for name in names[kind]])
        told = [self._update(part, whole=whole) for part in _batches(pairs)]
        last = told.pop() if told else Update(self.revision, whole)
        return [*(replace(part, more=True) for part in told), last]

    def _update(self, pairs: list[tuple[str, Any]], *, whole: bool) -> Update:
        said: Known = {kind: {} for kind in _KINDS}
        for kind, name in pairs:
            said[kind][name] = self._known[kind].get(name)
        return replace(_update(self.revision, said), whole=whole)


class _Follower:
    """What one stream still has to tell: names alone, so however slow it is, it is bounded."""

    def __init__(self) -> None:
        self._names: Names = {kind: set() for kind in _KINDS}
        self._wake = asyncio.Event()

    def wake(self, update: Update) -> None:
        for kind, names in self._names.items():
            names.update(getattr(update, kind))
        self._wake.set()

    async def woken(self, within_s: float) -> None:
        try:
            async with asyncio.timeout(within_s):
                await self._wake.wait()
        except TimeoutError:
            return

    def take(self) -> Names:
        """What is due. From here on, changes are due again."""
        taken = self._names
        self._names = {kind: set() for kind in _KINDS}
        self._wake.clear()
        return taken


def _update(revision: int, said: Known) -> Update:
    return Update(
        revision,
        entries=said["entries"],
        tenants=said["tenants"],
        keys=said["keys"],
        experiments=said["experiments"],
    )


def _changes(before: Mapping[Any, Any], after: Mapping[Any, Any]) -> dict[Any, Any]:
    gone = dict.fromkeys(before.keys() - after.keys())
    return {**gone, **{name: v for name, v in after.items() if before.get(name) != v}}


def _batches(pairs: Iterator[tuple[str, Any]]) -> Iterator[list[tuple[str, Any]]]:
    while batch := list(islice(pairs, PART)):
        yield batch
