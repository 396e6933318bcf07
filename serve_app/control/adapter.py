"""An adapter as the registry knows it, and how it changes. Pure: every step makes a new one."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from serve_app.adapters.catalog import Entry
from serve_app.adapters.version import Version


class State(StrEnum):
    """How far a version has come."""

    STAGED = "staged"  # kept to go back to, answers by number and digest
    LIVE = "live"  # answers the adapter's name or an alias
    RETIRING = "retiring"  # answers no more; replicas are letting go of it
    GONE = "gone"  # no replica holds it


ANSWERING = frozenset({State.STAGED, State.LIVE})


@dataclass(frozen=True, slots=True)
class Kept:
    """A version and what became of it.

    Attributes:
        source: where its files came from, without credentials.
        created: unix time in seconds.
        created_by: the tenant that registered it.
        retired: the catalog's revision in which it stopped answering.
        gone: unix time in seconds at which the last replica had let go of it.
    """

    version: Version
    source: str
    state: State
    created: int
    created_by: str
    retired: int | None = None
    gone: int | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What is said of an adapter beside its content; None leaves what there is."""

    grants: frozenset[str] | None = None
    description: str | None = None
    labels: Mapping[str, str] | None = None
    preload: bool | None = None
    pin: bool | None = None


@dataclass(frozen=True, slots=True)
class Adapter:
    """An adapter with every version it has had. A removed one stays as its own tombstone.

    Attributes:
        declared: it is in the configuration.
        stamp: what the declared content looked like when it was last put in force.
        terms: the declaration's other words when they were last put in force.
        current: number of the version in force, None before the first and after removal.
        previous: the one in force before.
        last_number: the largest number ever given.
        former: the largest number given before the name was removed and taken anew.
        removed: unix time in seconds.
        aliases: version numbers by alias.
    """

    name: str
    owner: str | None
    created: int
    updated: int
    grants: frozenset[str] = frozenset()
    description: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    preload: bool = False
    pin: bool = False
    declared: bool = False
    stamp: str | None = None
    terms: str | None = None
    current: int | None = None
    previous: int | None = None
    last_number: int = 0
    former: int = 0
    removed: int | None = None
    versions: Mapping[int, Kept] = field(default_factory=dict)
    aliases: Mapping[str, int] = field(default_factory=dict)

    @property
    def wanted(self) -> frozenset[int]:
        """Numbers of the versions that answer a name."""
        current = () if self.current is None else (self.current,)
        return frozenset((*current, *self.aliases.values()))

    def numbers(self, *states: State) -> list[int]:
        """Numbers of the versions in one of ``states``, newest first."""
        return sorted(
            (n for n, kept in self.versions.items() if kept.state in states), reverse=True
        )

    def entry(self) -> Entry | None:
        """What the catalog says of it; None when it may not be named."""
        if self.current is None:
            return None
        return Entry(
            name=self.name,
            versions={n: self.versions[n].version for n in sorted(self.numbers(*ANSWERING))},
            current=self.current,
            aliases=dict(self.aliases),
            owner=self.owner,
            grants=self.grants,
            created=self.created,
            preload=self.preload,
            pin=self.pin,
        )


@dataclass(frozen=True, slots=True)
class Keep:
    """Which versions of an adapter go on answering.

    Attributes:
        most: how many, the one in force included, unless more are needed.
        arms: numbers of those that arms of experiments are answered with.
    """

    most: int
    arms: frozenset[int] = frozenset()


def claimed(
    before: Adapter | None, name: str, owner: str | None, now: int, *, free: bool, declared: bool
) -> Adapter:
    """The adapter while its content is on its way; a ``free`` name begins a new life."""
    if before is None:
        return Adapter(name, owner, now, now, declared=declared)
    if not free:
        return replace(before, declared=before.declared or declared)
    return Adapter(
        name,
        owner,
        now,
        now,
        declared=declared,
        last_number=before.last_number,
        former=before.last_number,
        versions=before.versions,
    )


def published(before: Adapter, new: Kept, keep: Keep, revision: int) -> Adapter:
    """``new`` in force. Content the adapter has had before keeps the number it had."""
    number, now = new.version.number, new.created
    old = before.versions.get(number)
    if old is not None and old.state in ANSWERING:
        new = old
    after = replace(
        before,
        versions={**before.versions, number: new},
        current=number,
        previous=before.previous if number == before.current else before.current,
        last_number=max(before.last_number, number),
        updated=now,
    )
    return settled(after, keep, revision)


def number_for(adapter: Adapter, digest: str) -> int:
    """The number content with ``digest`` has, or would have."""
    had = (n for n, kept in adapter.versions.items() if kept.version.digest == digest)
    return next(had, adapter.last_number + 1)


def on_terms(adapter: Adapter, terms: Terms) -> Adapter:
    """The adapter with what ``terms`` say."""
    return replace(
        adapter,
        grants=adapter.grants if terms.grants is None else terms.grants,
        description=adapter.description if terms.description is None else terms.description,
        labels=adapter.labels if terms.labels is None else dict(terms.labels),
        preload=adapter.preload if terms.preload is None else terms.preload,
        pin=adapter.pin if terms.pin is None else terms.pin,
    )


def in_force(adapter: Adapter, number: int, keep: Keep, revision: int) -> Adapter:
    """The adapter gone back, or forward, to one of its versions."""
    if number == adapter.current:
        return adapter
    return settled(replace(adapter, current=number, previous=adapter.current), keep, revision)


def with_alias(adapter: Adapter, alias: str, number: int, keep: Keep, revision: int) -> Adapter:
    """The adapter with ``alias`` meaning version ``number``."""
    return settled(replace(adapter, aliases={**adapter.aliases, alias: number}), keep, revision)


def without_alias(adapter: Adapter, alias: str, keep: Keep, revision: int) -> Adapter:
    aliases = {name: n for name, n in adapter.aliases.items() if name != alias}
    return settled(replace(adapter, aliases=aliases), keep, revision)


def removed(adapter: Adapter, revision: int, now: int) -> Adapter:
    """The adapter after its removal: nothing of it answers."""
    versions = {
        n: replace(kept, state=State.RETIRING, retired=revision)
        if kept.state in ANSWERING
        else kept
        for n, kept in adapter.versions.items()
    }
    return replace(
        adapter,
        declared=False,
        stamp=None,
        terms=None,
        current=None,
        previous=None,
        removed=now,
        updated=now,
        versions=versions,
        aliases={},
    )


def let_go(adapter: Adapter, numbers: frozenset[int], now: int) -> Adapter:
    """The adapter when no replica holds these retiring versions any more."""
    gone = {n: replace(adapter.versions[n], state=State.GONE, gone=now) for n in numbers}
    return replace(adapter, versions={**adapter.versions, **gone})


def settled(adapter: Adapter, keep: Keep, revision: int) -> Adapter:
    """The states of its versions put right: no more answer than ``keep`` says, and names need."""
    answering = adapter.numbers(*ANSWERING)
    wanted = adapter.wanted
    needed = (wanted | keep.arms).intersection(answering)
    order = sorted(answering, key=lambda n: (n not in needed, n != adapter.previous, -n))
    kept = frozenset(order[: max(keep.most, len(needed))])
    versions = dict(adapter.versions)
    for n in answering:
        if n not in kept:
            versions[n] = replace(versions[n], state=State.RETIRING, retired=revision)
        else:
            state = State.LIVE if n in wanted else State.STAGED
            if versions[n].state is not state:
                versions[n] = replace(versions[n], state=state)
    previous = adapter.previous if adapter.previous in kept else None
    return replace(adapter, versions=versions, previous=previous)
