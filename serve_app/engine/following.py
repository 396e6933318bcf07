"""What a change of the catalog means for the versions a replica holds. Deciding is pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.version import Version
from serve_app.engine.preloading import Preloading
from serve_app.engine.residency import Residency
from serve_app.feed import Update


@dataclass(frozen=True, slots=True)
class Orders:
    """What to do about versions, by name.

    Attributes:
        retire: no name means them any more: let go of when they are idle.
        remove: their adapter does not have them any more: as above, and their requests are
            aborted if they take too long.
        restore: they may answer again, or for the first time.
        pin: never to be evicted.
        unpin: to be evicted again.
        preload: to be loaded before anybody asks.
        forget: not to be preloaded any more.
    """

    retire: frozenset[str]
    remove: frozenset[str]
    restore: frozenset[str]
    pin: frozenset[str]
    unpin: frozenset[str]
    preload: tuple[Version, ...]
    forget: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Standing:
    """Versions by what their entries say of them."""

    answering: frozenset[str]
    wanted: frozenset[str]
    pinned: frozenset[str]
    preloaded: Mapping[str, Version]


def orders(before: Catalog, update: Update, held: Iterable[str]) -> tuple[Catalog, Orders]:
    """The catalog after an update, and what it orders.

    Args:
        held: names of the versions on this replica. One that a whole catalog does not know is
            retired, but not aborted: whoever asked for it may know better already.
    """
    after = (Catalog() if update.whole else before).changed(update.entries)
    names = {*update.entries, *(before.entries if update.whole else ())}
    was = _standing(before.entries[name] for name in names if name in before.entries)
    now = _standing(after.entries[name] for name in names if name in after.entries)
    changed = _between(was, now)
    if update.whole:
        strangers = frozenset(held) - now.answering - changed.remove
        changed = replace(changed, retire=changed.retire | strangers)
    return after, changed


def _between(was: _Standing, now: _Standing) -> Orders:
    gone = was.answering - now.answering
    return Orders(
        retire=was.wanted - now.wanted - gone,
        remove=gone,
        restore=(now.answering - was.answering) | (now.wanted - was.wanted),
        pin=now.pinned - was.pinned,
        unpin=was.pinned - now.pinned,
        preload=tuple(v for name, v in now.preloaded.items() if name not in was.preloaded),
        forget=frozenset(was.preloaded.keys() - now.preloaded.keys()),
    )


def _standing(entries: Iterable[Entry]) -> _Standing:
    answering: dict[str, Version] = {}
    wanted: set[str] = set()
    pinned: set[str] = set()
    preloaded: set[str] = set()
    for entry in entries:
        answering |= {version.name: version for version in entry.versions.values()}
        wanted |= entry.wanted
        pinned |= entry.wanted if entry.pin else frozenset()
        preloaded |= entry.wanted if entry.preload else frozenset()
    return _Standing(
        frozenset(answering),
        frozenset(wanted),
        frozenset(pinned),
        {name: answering[name] for name in sorted(preloaded)},
    )


class Following:
    """Does what control's updates order.

    Args:
        drain_s: requests on a removed adapter are aborted after so long.
    """

    def __init__(self, residency: Residency, preloading: Preloading, drain_s: float) -> None:
        self._residency = residency
        self._preloading = preloading
        self._drain_s = drain_s
        self._catalog = Catalog()

    def heard(self, update: Update) -> None:
        """Take an update in: when this returns, everything it lets go of is on its way out."""
        if not update.entries and not update.whole:
            return
        held = [stay.name for stay in self._residency.stays()]
        self._catalog, ordered = orders(self._catalog, update, held)
        self._residency.pin(ordered.pin)
        self._residency.unpin(ordered.unpin)
        for name in ordered.restore:
            self._residency.restore(name)
        for name in ordered.retire:
            self._residency.retire(name)
        for name in ordered.remove:
            self._residency.retire(name, abort_after_s=self._drain_s)
        self._preloading.forget(ordered.forget)
        self._preloading.want(ordered.preload)
