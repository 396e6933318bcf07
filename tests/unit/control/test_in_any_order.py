"""Whatever is asked of the registry, in whatever order, and however often it crashes."""

import asyncio
import shutil
import tempfile
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from serve_app.adapters.catalog import Catalog
from serve_app.control.adapter import Kept, State
from serve_app.control.book import HOLDING
from serve_app.errors import AdapterRefused
from tests.unit.control.bench import Bench, code_of, declared, digest_of

T = TypeVar("T")
NAMES = st.sampled_from(["a", "b", "c"])
DECLARED = st.sampled_from(["a", "b"])
SOURCES = st.sampled_from([f"/{n}" for n in range(5)])
ALIASES = st.sampled_from(["x", "c"])
SPECS = st.sampled_from([None, "v1", "v2", "v3"])
SLOW = "/slow"
BAD = "/bad"


class AnyOrder(RuleBasedStateMachine):
    """A registry beside what was acknowledged of it.

    Attributes:
        live: the digest each adapter's name must mean.
        means: the digest each alias must mean, and whose alias it is.
        coming: sources of registrations that wait for the gate, by name, in order.
        stamps: what was declared last, by name.
        numbers: the digest every number of every name was ever given to.
    """

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        memory = "/dev/shm" if Path("/dev/shm").is_dir() else None  # power is not lost here
        self.folder = Path(tempfile.mkdtemp(prefix="registry-", dir=memory))
        self.live: dict[str, str] = {}
        self.means: dict[str, tuple[str, str]] = {}
        self.coming: dict[str, list[str]] = {}
        self.stamps: dict[str, str] = {}
        self.numbers: dict[tuple[str, int], str] = {}
        self.revision = 0
        self.wait(self._begin())

    def wait(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    async def _begin(self) -> None:
        url = f"sqlite+aiosqlite:///{self.folder / 'registry.db'}"
        self.bench = Bench(url, keep=3, grace_s=100)
        self.bench.stager.failing[BAD] = AdapterRefused("bad")
        self.bench.stager.gates[SLOW] = asyncio.Event()
        await self._start()

    async def _start(self) -> None:
        await self.bench.start()
        self.catalog = Catalog()
        self.heard = -1
        self.updates = self.bench.control.follow(tenants=False)

    def teardown(self) -> None:
        self.wait(self.bench.control.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    @rule(name=NAMES, source=SOURCES)
    def register(self, name: str, source: str) -> None:
        if self.coming.get(name):
            self._queue(name, source)
            return
        answer = self.wait(self.bench.register(name, source))
        if name in self.means:
            assert code_of(answer) == "adapter_name_taken"
            return
        assert answer.status == 200
        assert answer.body["digest"] == digest_of(source)
        self.live[name] = answer.body["digest"]

    @rule(name=NAMES)
    def register_something_slow(self, name: str) -> None:
        self._queue(name, SLOW)

    @rule(name=NAMES)
    def register_something_bad(self, name: str) -> None:
        if not self.coming.get(name):
            refused = 409 if name in self.means else 422
            assert self.wait(self.bench.register(name, BAD)).status == refused

    @rule(name=NAMES, source=SOURCES)
    def register_other_content_than_expected(self, name: str, source: str) -> None:
        if not self.coming.get(name):
            answer = self.wait(self.bench.register(name, source, digest="0" * 64))
            assert answer.status == (409 if name in self.means else 422)

    @rule()
    def what_was_slow_arrives(self) -> None:
        self.wait(self._arrive())

    @rule(name=NAMES, version=SPECS)
    def roll_back(self, name: str, version: str | None) -> None:
        answer = self.wait(self.bench.rollback(name, version))
        if answer.status == 200:
            self.live[name] = answer.body["digest"]
        assert (answer.status == 200) <= (name in self.live)

    @rule(name=NAMES, alias=ALIASES, version=SPECS)
    def put_alias(self, name: str, alias: str, version: str | None) -> None:
        answer = self.wait(self.bench.alias(name, alias, version))
        if answer.status == 200:
            number = answer.body["aliases"][alias]
            self.means[alias] = name, self.numbers[name, number]
        if alias in self.live or (alias in self.means and self.means[alias][0] != name):
            assert answer.status in (404, 409)

    @rule(name=NAMES, alias=ALIASES)
    def remove_alias(self, name: str, alias: str) -> None:
        answer = self.wait(self.bench.unalias(name, alias))
        mine = self.means.get(alias, ("", ""))[0] == name
        assert answer.status == (200 if mine else 404)
        if mine:
            del self.means[alias]

    @rule(name=NAMES)
    def remove(self, name: str) -> None:
        answer = self.wait(self.bench.remove(name))
        if name in self.stamps:
            assert code_of(answer) == "adapter_declared"
        elif name in self.live or self.coming.get(name):
            assert answer.status == 200
            self._forget(name)

    @precondition(lambda self: not any(self.coming.values()))
    @rule(wishes=st.dictionaries(DECLARED, SOURCES))
    def declare(self, wishes: dict[str, str]) -> None:
        news = {n: f"s3://b{s}" for n, s in wishes.items() if self.stamps.get(n) != f"s3://b{s}"}
        self.wait(self.bench.declare(*(declared(n, f"s3://b{s}") for n, s in wishes.items())))
        for name in self.stamps.keys() - wishes.keys():
            self._forget(name)
        self.stamps = {name: f"s3://b{source}" for name, source in wishes.items()}
        for name, source in news.items():
            self.live[name] = digest_of(source)

    @rule()
    def crash(self) -> None:
        self.wait(self._crash())

    async def _crash(self) -> None:
        await self.updates.aclose()  # type: ignore[attr-defined]
        await self.bench.crash()
        await self._start()

    @rule(seconds=st.sampled_from([0, 1, 16, 101]))
    def time_passes(self, seconds: int) -> None:
        self.wait(self.bench.passes(seconds))

    @rule(replica=st.sampled_from(["r1", "r2"]), behind=st.integers(0, 2), data=st.data())
    def a_replica_reports(self, replica: str, behind: int, data: st.DataObject) -> None:
        held = [kept.version.name for kept in self._kept() if kept.state is not State.GONE]
        told = data.draw(st.lists(st.sampled_from(held), unique=True)) if held else []
        revision = self.bench.control.revision - behind
        self.bench.report(*told, replica=replica, revision=revision)

    @invariant()
    def the_revision_only_goes_up(self) -> None:
        assert self.bench.control.revision >= self.revision
        self.revision = self.bench.control.revision

    @invariant()
    def names_mean_what_was_acknowledged_last(self) -> None:
        entries = self.bench.control.entries
        assert {name: entry.version.digest for name, entry in entries.items()} == self.live
        catalog = Catalog.of(dict(entries))
        for alias, (name, digest) in self.means.items():
            found = catalog.find(alias)
            assert found is not None
            assert (found[0].name, found[1].digest) == (name, digest)
        assert set(catalog.aliases) == set(self.means)

    @invariant()
    def followers_and_the_database_know_the_same(self) -> None:
        self.wait(self._compare())

    async def _compare(self) -> None:
        control = self.bench.control
        while self.heard < control.revision:
            update = await anext(self.updates)
            assert update.revision >= self.heard
            self.heard = update.revision
            base = Catalog() if update.whole else self.catalog
            self.catalog = base.changed(update.entries)
        stored = await control._store.load()
        assert self.catalog.entries == control.entries == stored.entries()
        for index in ("revision", "adapters", "aliases", "open", "retiring", "references"):
            assert getattr(stored, index) == getattr(control.book, index), index
        assert +stored.states == +control.book.states

    @invariant()
    def what_is_needed_is_kept(self) -> None:
        for kept in self._kept():
            if kept.state in HOLDING:
                assert kept.version.digest in self.bench.contents.kept

    @invariant()
    def a_number_is_one_content_forever(self) -> None:
        for version in (kept.version for kept in self._kept()):
            known = self.numbers.setdefault((version.adapter, version.number), version.digest)
            assert known == version.digest

    # bookkeeping

    def _kept(self) -> list[Kept]:
        adapters = self.bench.control.book.adapters.values()
        return [kept for adapter in adapters for kept in adapter.versions.values()]

    def _queue(self, name: str, source: str) -> None:
        answer = self.wait(self.bench.register(name, source, wait=False))
        if name in self.means:
            assert code_of(answer) == "adapter_name_taken"
            return
        assert answer.status == 202
        self.coming.setdefault(name, []).append(source)

    async def _arrive(self) -> None:
        self.bench.stager.gates[SLOW].set()
        await self.bench.control.settled()
        self.bench.stager.gates[SLOW] = asyncio.Event()
        for name, sources in self.coming.items():
            if sources:
                self.live[name] = digest_of(sources[-1])
        self.coming.clear()

    def _forget(self, name: str) -> None:
        self.live.pop(name, None)
        self.coming.pop(name, None)
        self.means = {alias: it for alias, it in self.means.items() if it[0] != name}


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = settings(max_examples=25, stateful_step_count=40, deadline=None)
