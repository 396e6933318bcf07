"""A registry under test: a real database, and named stand-ins for sources, disk and replicas."""

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from serve_app.adapters.commands import (
    Actor,
    Answer,
    Command,
    List,
    PutAlias,
    Register,
    Remove,
    RemoveAlias,
    Rollback,
    Show,
    ShowAudit,
    ShowVersions,
)
from serve_app.adapters.preflight import Checked
from serve_app.adapters.report import Held, Report, Residence
from serve_app.adapters.version import Version
from serve_app.control.control import Control
from serve_app.control.registering import Workshop
from serve_app.control.rules import Rules
from serve_app.control.times import Times
from serve_app.directory import AdapterSettings, Directory, TenantSettings
from serve_app.errors import AdapterRefused
from serve_app.settings import ALONE, LimitsSettings

ADMIN = Actor("root", admin=True, may_use=frozenset({"*"}))
ACME = Actor("acme", manages=True)
OTHER = Actor("other", manages=True)
USER = Actor("user")
BASE = "demo"
PEPPER = b"pepper"


def digest_of(source: str) -> str:
    """The digest of what the fake stager finds at ``source``."""
    return hashlib.sha256(source.encode()).hexdigest()


@dataclass
class FakeContents:
    """A disk of digests."""

    kept: set[str] = field(default_factory=set)
    removed: list[str] = field(default_factory=list)

    def has(self, digest: str) -> bool:
        return digest in self.kept

    def digests(self) -> frozenset[str]:
        return frozenset(self.kept)

    def remove(self, digest: str) -> None:
        self.kept.discard(digest)
        self.removed.append(digest)


@dataclass
class FakeStager:
    """Finds other content at every source.

    Attributes:
        staged: names and sources, in order.
        gates: sources that wait, and for what.
        failing: sources that raise, and what.
    """

    contents: FakeContents
    staged: list[tuple[str, str]] = field(default_factory=list)
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    failing: dict[str, Exception] = field(default_factory=dict)

    async def stage(self, adapter: str, source: str, progress: Callable[[int], None]) -> Checked:
        self.staged.append((adapter, source))
        progress(1)
        if source in self.gates:
            await self.gates[source].wait()
        if source in self.failing:
            raise self.failing[source]
        digest = digest_of(source)
        self.contents.kept.add(digest)
        return Checked(digest, 8, 100)


@dataclass
class FakeProbe:
    """Remembers who was probed; refuses those it is told to."""

    asked: list[Version] = field(default_factory=list)
    refusing: set[str] = field(default_factory=set)
    gate: asyncio.Event | None = None

    async def probe(self, version: Version) -> None:
        self.asked.append(version)
        if self.gate is not None:
            await self.gate.wait()
        if version.adapter in self.refusing:
            raise AdapterRefused("it does not answer", code="adapter_canary_failed")


@dataclass
class FakeOutcomes:
    """Remembers how registrations ended."""

    outcomes: list[str] = field(default_factory=list)

    def registered(self, outcome: str, seconds: float) -> None:
        assert seconds >= 0
        self.outcomes.append(outcome)


@dataclass
class Clock:
    """Both clocks of control, in seconds."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


class Bench:
    """One control over one database; ``crash`` and ``start`` make the next."""

    def __init__(
        self,
        url: str,
        *,
        keep: int = 10,
        capacity: int = 4,
        experiments: int = 100,
        grace_s: float = 300,
        canary: bool = False,
        limits: LimitsSettings = ALONE,
    ) -> None:
        self.url = url
        self.clock = Clock()
        self.contents = FakeContents()
        self.stager = FakeStager(self.contents)
        self.trusted = FakeStager(self.contents)
        self.tenants: dict[str, FakeStager] = {}
        self.probe = FakeProbe()
        self.outcomes = FakeOutcomes()
        self._limits = limits
        self._rules = Rules(BASE, keep, capacity, experiments)
        self._times = Times(self.clock, self.clock, grace_s, beat_s=1, learning_s=0, heard_s=0.01)
        self._workshop = Workshop(
            self.stager,
            self.trusted,
            self._tenants_stager,
            self.contents,
            self.probe if canary else None,
            self.outcomes,
        )
        self.control: Control

    def _tenants_stager(self, tenant: str) -> FakeStager:
        return self.tenants.setdefault(tenant, FakeStager(self.contents))

    async def start(self) -> "Bench":
        self.control = await Control.open(
            self.url, self._workshop, self._rules, self._times, PEPPER, self._limits
        )
        return self

    async def crash(self) -> None:
        """End it as a killed process ends: nothing is written, nothing is waited for."""
        for task in list(self.control._registering._tasks.values()):
            task.cancel()
        await self.control._store.close()

    async def restart(self) -> None:
        await self.crash()
        await self.start()

    async def register(
        self, name: str, source: str = "/a", actor: Actor = ADMIN, **options: object
    ) -> Answer:
        return await self.control.manage(replace(Register(actor, name, source), **options))  # type: ignore[arg-type]

    async def ok(self, command: Command) -> Answer:
        answer = await self.control.manage(command)
        assert answer.status == 200, answer.body
        return answer

    async def remove(self, name: str, actor: Actor = ADMIN) -> Answer:
        return await self.control.manage(Remove(actor, name))

    async def rollback(self, name: str, version: str | None = None, actor: Actor = ADMIN) -> Answer:
        return await self.control.manage(Rollback(actor, name, version))

    async def alias(
        self, name: str, alias: str, version: str | None = None, actor: Actor = ADMIN
    ) -> Answer:
        return await self.control.manage(PutAlias(actor, name, alias, version))

    async def unalias(self, name: str, alias: str, actor: Actor = ADMIN) -> Answer:
        return await self.control.manage(RemoveAlias(actor, name, alias))

    async def show(self, name: str, actor: Actor = ADMIN) -> Answer:
        return await self.control.manage(Show(actor, name))

    async def states(self, name: str, actor: Actor = ADMIN) -> dict[int, str]:
        """States of an adapter's versions, by number."""
        answer = await self.ok(ShowVersions(actor, name))
        return {version["version"]: version["state"] for version in answer.body["data"]}

    async def names(
        self, actor: Actor = ADMIN, limit: int = 100, after: str | None = None
    ) -> list[str]:
        answer = await self.ok(List(actor, limit, after))
        return [record["id"] for record in answer.body["data"]]

    async def actions(self, actor: Actor = ADMIN) -> list[str]:
        answer = await self.ok(ShowAudit(actor))
        return [deed["action"] for deed in reversed(answer.body["data"])]

    async def declare(self, *adapters: AdapterSettings) -> None:
        """Reconfigure, and wait until everything declared is live or has failed."""
        await self.control.reconfigure(a_directory(*adapters))
        await self.control.settled()

    async def configure(self, directory: Mapping[str, object]) -> None:
        """Reconfigure with other tenants than those of the bench."""
        await self.control.reconfigure(Directory.model_validate(directory))

    def report(self, *held: str, replica: str = "r1", revision: int | None = None) -> None:
        """A replica tells what it holds, by the names of versions."""
        at = self.control.revision if revision is None else revision
        told = tuple(Held(name, Residence.RESIDENT, 2, 0.5) for name in held)
        self.control.report(Report(replica, at, told))

    async def passes(self, seconds: float) -> None:
        """Time passes, and control sweeps."""
        self.clock.now += seconds
        await self.control.sweep()

    def version(self, name: str, number: int) -> Version:
        return self.control.book.adapters[name].versions[number].version


def a_directory(*adapters: AdapterSettings) -> Directory:
    """Two tenants and these adapters."""
    tenants = [{"id": "acme", "keys": ["sk-acme"]}, {"id": "root", "keys": ["sk-r"], "admin": True}]
    return Directory(
        tenants=[TenantSettings.model_validate(tenant) for tenant in tenants],
        adapters=list(adapters),
    )


def declared(name: str, path: str = "s3://b/a", **options: object) -> AdapterSettings:
    return AdapterSettings.model_validate({"name": name, "path": path, **options})


def code_of(answer: Answer) -> str:
    """The code of a refusal."""
    return str(answer.body["error"]["code"])
