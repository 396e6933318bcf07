"""Ten thousand adapters: what one more costs does not depend on how many there are."""

import pickle
from collections import Counter
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import event

from serve_app.adapters.commands import List
from serve_app.adapters.version import Version
from serve_app.control.adapter import Adapter, Kept, State
from serve_app.control.book import Change, Deed
from serve_app.control.store import Store
from tests.unit.control.bench import ADMIN, Bench, code_of, declared, digest_of

MANY = 10_000


def _adapter(n: int) -> Adapter:
    name = f"adapter-{n:05}"
    version = Version(name, 1, digest_of(f"/{n}"), 8, 100)
    kept = Kept(version, f"/{n}", State.LIVE, 0, "root")
    return Adapter(name, None, 0, 0, current=1, last_number=1, versions={1: kept})


async def _fill(url: str) -> None:
    store = await Store.open(url)
    adapters = tuple(_adapter(n) for n in range(MANY))
    async with store.writing() as writing:
        deed = Deed(0, "root", "register", "", None)
        await writing.save(Change((deed,), adapters), lambda _name: None)
    await store.close()


@pytest.fixture
async def bench(url: str) -> AsyncIterator[Bench]:
    await _fill(url)
    bench = await Bench(url).start()
    yield bench
    await bench.control.close()


def _statements(bench: Bench) -> Counter[str]:
    """Counts rows that statements carry, by their first two words, from now on."""
    counts: Counter[str] = Counter()

    def count(_c: Any, _cursor: Any, statement: str, rows: Any, _x: Any, many: bool) -> None:
        counts[" ".join(statement.split()[:3])] += len(rows) if many else 1

    event.listen(bench.control._store._engine.sync_engine, "before_cursor_execute", count)
    return counts


async def test_one_registration_touches_only_its_own_rows(bench: Bench) -> None:
    assert len(bench.control.entries) == MANY
    counts = _statements(bench)
    await bench.register("new", "/new", labels={"k": "v"}, grants=frozenset({"user"}))
    assert sum(counts.values()) < 30, counts
    counts.clear()
    await bench.register("adapter-05000", "/other")
    assert sum(counts.values()) < 30, counts
    counts.clear()
    await bench.alias("adapter-05000", "x")
    await bench.remove("adapter-00001")
    await bench.passes(20)
    assert sum(counts.values()) < 40, counts


async def test_a_follower_is_told_only_what_changed(bench: Bench) -> None:
    updates = bench.control.follow(tenants=False)
    whole = await anext(updates)
    while whole.more:
        whole = whole.then(await anext(updates))
    assert len(whole.entries) == MANY
    await bench.register("new", "/new", wait=True)
    seen: set[str] = set()
    while (update := await anext(updates)).revision <= bench.control.revision:
        seen |= set(update.entries)
        if update.revision == bench.control.revision:
            break
    assert seen == {"new"}
    assert len(pickle.dumps(whole)) < 6 << 20


async def test_pages_cover_everything_once(bench: Bench) -> None:
    names: list[str] = []
    after = None
    while True:
        page = (await bench.ok(List(ADMIN, 1000, after))).body
        names += [record["id"] for record in page["data"]]
        after = page["last_id"]
        if not page["has_more"]:
            break
    assert names == [f"adapter-{n:05}" for n in range(MANY)]


async def test_what_is_declared_once_more_is_one_small_write(bench: Bench) -> None:
    await bench.declare(declared("mine"))
    counts = _statements(bench)
    await bench.declare(declared("mine"))
    assert sum(counts.values()) < 10, counts
    assert code_of(await bench.remove("mine")) == "adapter_declared"
