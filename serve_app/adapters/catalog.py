"""What may be named: every adapter with the versions that may answer. Pure and immutable.

Control writes it, gateways resolve names from it, replicas learn from it what to keep and what to
let go.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.adapters.version import DIGEST_CHARS, Version

_NUMBER = re.compile(r"v(?P<number>[1-9][0-9]{0,8})")
_DIGEST = re.compile(rf"[0-9a-f]{{{DIGEST_CHARS},64}}")


@dataclass(frozen=True, slots=True)
class Entry:
    """One adapter that may be named.

    Attributes:
        name: the adapter's name.
        versions: those that may answer, by number.
        current: the number of the one that answers the bare name.
        aliases: further names, each of one version of this adapter, by number.
        owner: the tenant it belongs to, None if to the operator.
        grants: other tenants that may use it.
        created: unix time in seconds of its first registration.
        preload: replicas load it before anybody asks.
        pin: replicas that hold it never evict it to make room.
    """

    name: str
    versions: Mapping[int, Version]
    current: int
    aliases: Mapping[str, int] = field(default_factory=dict)
    owner: str | None = None
    grants: frozenset[str] = frozenset()
    created: int = 0
    preload: bool = False
    pin: bool = False

    @property
    def version(self) -> Version:
        """The version in force."""
        return self.versions[self.current]

    @property
    def wanted(self) -> frozenset[str]:
        """Names of the versions that answer under some name, not by number or digest alone."""
        numbers = {self.current, *self.aliases.values()}
        return frozenset(self.versions[number].name for number in numbers)

    def numbered(self, spec: str) -> Version | None:
        """The version that ``v2``, or 12 to 64 hex digits of a digest, mean."""
        number = _NUMBER.fullmatch(spec)
        if number is not None:
            return self.versions.get(int(number["number"]))
        if _DIGEST.fullmatch(spec) is None:
            return None
        return next((v for v in self.versions.values() if v.digest.startswith(spec)), None)


@dataclass(frozen=True, slots=True)
class Catalog:
    """All entries by name, and the adapter behind each alias."""

    entries: Mapping[str, Entry] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(entries: Mapping[str, Entry]) -> "Catalog":
        """A catalog of whole entries."""
        return Catalog().changed(entries)

    def changed(self, changes: Mapping[str, Entry | None]) -> "Catalog":
        """A catalog with these entries in place of those of the same names; None takes one out."""
        entries, aliases = dict(self.entries), dict(self.aliases)
        for name in changes:
            before = entries.pop(name, None)
            for alias in before.aliases if before else ():
                del aliases[alias]
        for name, entry in changes.items():
            if entry is not None:
                entries[name] = entry
                aliases.update(dict.fromkeys(entry.aliases, name))
        return Catalog(entries, aliases)

    def find(self, name: str) -> tuple[Entry, Version] | None:
        """What ``adapter``, ``alias``, ``adapter@v2`` or ``adapter@<digest>`` means."""
        adapter, at, spec = name.partition("@")
        entry = self.entries.get(adapter)
        if at:
            version = entry.numbered(spec) if entry else None
            return (entry, version) if entry and version else None
        if entry is not None:
            return entry, entry.version
        owner = self.aliases.get(name)
        if owner is None:
            return None
        entry = self.entries[owner]
        return entry, entry.versions[entry.aliases[name]]
