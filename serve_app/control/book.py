"""The whole registry in memory, with the indexes that answer questions without a scan.

The database is the truth; this is what it said last. One change touches what it is about alone.
"""

import bisect
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from serve_app.adapters.catalog import Entry
from serve_app.control.account import Account, Issued
from serve_app.control.adapter import Adapter, State
from serve_app.control.registration import Registration
from serve_app.control.study import Study

HOLDING = (State.STAGED, State.LIVE, State.RETIRING)
"""States in which a version's content must stay."""


@dataclass(frozen=True, slots=True)
class Deed:
    """Who did what to which adapter, experiment, tenant or key: a line of the audit log."""

    at: int
    actor: str
    action: str
    subject: str
    owner: str | None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What one transaction writes."""

    deeds: tuple[Deed, ...]
    adapters: tuple[Adapter, ...] = ()
    registrations: tuple[Registration, ...] = ()
    accounts: tuple[Account, ...] = ()
    issued: tuple[Issued, ...] = ()
    gone_accounts: tuple[str, ...] = ()
    gone_keys: tuple[Issued, ...] = ()
    studies: tuple[Study, ...] = ()
    gone_studies: tuple[Study, ...] = ()


class Book:
    """Every adapter, alias, latest registration, experiment, tenant and key at one revision."""

    def __init__(
        self,
        revision: int = 0,
        adapters: Iterable[Adapter] = (),
        registrations: Iterable[Registration] = (),
        accounts: Iterable[Account] = (),
        issued: Iterable[Issued] = (),
        studies: Iterable[Study] = (),
    ) -> None:
        self.revision = revision
        self.adapters: dict[str, Adapter] = {}
        self.aliases: dict[str, str] = {}
        self.open: dict[int, Registration] = {}
        self.retiring: set[str] = set()
        self.references: Counter[str] = Counter()
        self.gone_at: dict[str, int] = {}
        self.states: Counter[State] = Counter()
        self.last_registration = 0
        self.accounts = {account.id: account for account in accounts}
        self.studies = {study.name: study for study in studies}
        self.issued: dict[str, Issued] = {}
        self._issued_to: defaultdict[str, set[str]] = defaultdict(set)
        self._latest: dict[str, Registration] = {}
        self._waiting: defaultdict[str, set[int]] = defaultdict(set)
        self._pinned: dict[str, int] = {}
        self._names: list[str] = []
        for adapter in sorted(adapters, key=lambda a: a.name):
            self._put(adapter)
        for registration in sorted(registrations, key=lambda r: r.id):
            self._note(registration)
        for key in issued:
            self._issue(key)

    def take_in(self, change: Change, revision: int) -> dict[str, Entry | None]:
        """Apply a committed change; what it changed of the catalog."""
        for adapter in change.adapters:
            self._put(adapter)
        for registration in change.registrations:
            self._note(registration)
        self.accounts.update((account.id, account) for account in change.accounts)
        for id_ in change.gone_accounts:
            self.accounts.pop(id_, None)
        for issued in change.issued:
            self._issue(issued)
        for issued in change.gone_keys:
            del self.issued[issued.id]
            self._issued_to[issued.tenant].discard(issued.id)
        for study in change.gone_studies:
            del self.studies[study.name]
        self.studies.update((study.name, study) for study in change.studies)
        self.revision = revision
        return {adapter.name: adapter.entry() for adapter in change.adapters}

    def entries(self) -> dict[str, Entry]:
        """The whole catalog."""
        entries = {name: adapter.entry() for name, adapter in self.adapters.items()}
        return {name: entry for name, entry in entries.items() if entry is not None}

    def latest(self, name: str) -> Registration | None:
        """The adapter's last registration."""
        return self._latest.get(name)

    def waiting(self, name: str) -> list[Registration]:
        """The adapter's open registrations, in order."""
        return [self.open[number] for number in sorted(self._waiting.get(name, ()))]

    def issued_to(self, tenant: str) -> list[Issued]:
        """The tenant's keys, good or not, by id."""
        return [self.issued[id_] for id_ in sorted(self._issued_to.get(tenant, ()))]

    def owned_by(self, tenant: str) -> list[str]:
        """Adapters of the tenant's that are there or on their way, by name."""
        mine = (a.name for a in self.adapters.values() if a.owner == tenant)
        return sorted(name for name in mine if not self.free(name))

    def arms_of(self, adapter: str) -> frozenset[int]:
        """Numbers of the adapter's versions that experiments are to be answered with."""
        used = (arm.model.rpartition("@v") for study in self.studies.values() for arm in study.used)
        return frozenset(int(number) for name, _, number in used if name == adapter)

    def free(self, name: str) -> bool:
        """Whether nothing answers this adapter name and nothing is on its way to it."""
        adapter = self.adapters.get(name)
        return adapter is None or (adapter.current is None and not self._waiting.get(name))

    def names_after(self, after: str | None) -> Iterator[str]:
        """Adapter names in order, those after ``after``."""
        start = 0 if after is None else bisect.bisect_right(self._names, after)
        return (self._names[index] for index in range(start, len(self._names)))

    def pinned_beside(self, name: str) -> int:
        """Versions that adapters other than ``name`` pin."""
        return self._pinned_total - self._pinned.get(name, 0)

    @property
    def _pinned_total(self) -> int:
        return sum(self._pinned.values())

    def _issue(self, issued: Issued) -> None:
        self.issued[issued.id] = issued
        self._issued_to[issued.tenant].add(issued.id)

    def _put(self, adapter: Adapter) -> None:
        before = self.adapters.get(adapter.name)
        if before is None:
            bisect.insort(self._names, adapter.name)
        else:
            for alias in before.aliases:
                del self.aliases[alias]
        self.adapters[adapter.name] = adapter
        self.aliases.update(dict.fromkeys(adapter.aliases, adapter.name))
        self._count(before, adapter)
        _keep(self.retiring, adapter.name, bool(adapter.numbers(State.RETIRING)))
        self._pinned.pop(adapter.name, None)
        if adapter.pin and adapter.current is not None:
            self._pinned[adapter.name] = len(adapter.wanted)

    def _count(self, before: Adapter | None, after: Adapter) -> None:
        """Move the counts of what changed among the versions."""
        old: Mapping[int, Any] = before.versions if before else {}
        for number, kept in after.versions.items():
            had = old.get(number)
            if had is kept:
                continue
            if had is not None:
                self._add(had.version.digest, had.state, -1)
            self._add(kept.version.digest, kept.state, +1)
            if kept.gone is not None:
                digest = kept.version.digest
                self.gone_at[digest] = max(kept.gone, self.gone_at.get(digest, 0))

    def _add(self, digest: str, state: State, n: int) -> None:
        self.states[state] += n
        if state in HOLDING:
            self.references[digest] += n
            if not self.references[digest]:
                del self.references[digest]

    def _note(self, registration: Registration) -> None:
        name, number = registration.adapter, registration.id
        self.last_registration = max(self.last_registration, number)
        latest = self._latest.get(name)
        if latest is None or latest.id <= number:
            self._latest[name] = registration
        _keep(self._waiting[name], number, registration.open)
        if registration.open:
            self.open[number] = registration
        else:
            self.open.pop(number, None)


def _keep(names: set[Any], name: Any, keep: bool) -> None:
    if keep:
        names.add(name)
    else:
        names.discard(name)
