import asyncio
from pathlib import Path

import pytest

from tests.unit.fakes import until
from tests.unit.residency_bench import Bench

SOON_S = 1.0
"""Well under the time a lease waits for room."""


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=2)


@pytest.fixture
async def narrow(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=1)


async def _left_while_loading(bench: Bench, adapter: str) -> asyncio.Event:
    """A load nobody waits for any more, which goes on when the event is set."""
    gate = bench.slow(adapter)
    leaving = bench.start(adapter)
    await until(bench.loading(adapter))
    leaving.cancel()
    await asyncio.wait([leaving])
    return gate


async def test_room_is_used_as_soon_as_a_load_nobody_waits_for_is_over(narrow: Bench) -> None:
    gate = await _left_while_loading(narrow, "a")
    waiting = narrow.start("b")
    await asyncio.sleep(0.01)
    gate.set()
    async with asyncio.timeout(SOON_S):
        await waiting
    assert narrow.holds("b")


async def test_room_is_used_as_soon_as_a_load_nobody_waits_for_fails(narrow: Bench) -> None:
    narrow.failing("a")
    gate = await _left_while_loading(narrow, "a")
    waiting = narrow.start("b")
    await asyncio.sleep(0.01)
    gate.set()
    async with asyncio.timeout(SOON_S):
        await waiting
    assert narrow.holds("b")


async def test_who_leaves_while_evicting_leaves_nothing_behind_in_the_engine(narrow: Bench) -> None:
    await narrow.use("a")
    gate = narrow.slow("a")
    leaving = narrow.start("b")
    await until(lambda: narrow.engine.unloads)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    async with asyncio.timeout(SOON_S):
        await narrow.use("c")
    assert narrow.holds("c")
    assert narrow.engine.violations == []


async def test_who_leaves_before_its_turn_to_evict_leaves_nothing_behind(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity=2)
    await bench.use("a")
    gate = bench.slow("b")
    loading = bench.start("b")
    await until(bench.loading("b"))
    leaving = bench.start("c")
    await asyncio.sleep(0.01)
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    await loading
    await until(lambda: bench.engine.names == bench.here(), SOON_S)


async def test_who_leaves_while_waiting_for_room_is_forgotten(narrow: Bench) -> None:
    done = asyncio.Event()
    using = narrow.start("a", done)
    await until(narrow.leased("a"))
    leaving = narrow.start("b")
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait([leaving])
    done.set()
    await using
    assert narrow.holds("a")


async def test_files_nobody_waits_for_any_more_are_not_fetched(bench: Bench) -> None:
    bench.slow_to_fetch("a")
    users = [bench.start("a"), bench.start("a")]
    await until(bench.staging("a"))
    await bench.leave(users[0])
    assert bench.files.under_way == 1
    await bench.leave(users[1])
    await until(lambda: not bench.files.under_way)
    assert bench.holds()
    assert bench.engine.loads == []


async def test_who_comes_after_a_fetch_was_given_up_begins_a_new_one(bench: Bench) -> None:
    bench.slow_to_fetch("a")
    leaving = bench.start("a")
    await until(bench.staging("a"))
    leaving.cancel()
    await asyncio.sleep(0)
    bench.files.gates.clear()
    assert await bench.start("a") is not None
    assert bench.holds("a")
    assert bench.engine.violations == []


async def test_what_nobody_waits_for_any_more_is_not_loaded_when_its_turn_comes(
    bench: Bench,
) -> None:
    gate = bench.slow("a")
    loading = bench.start("a")
    await until(bench.loading("a"))
    waiting = bench.start("b")
    await until(bench.staging("b"))
    await asyncio.sleep(0.01)
    await bench.leave(waiting)
    gate.set()
    await loading
    assert bench.holds("a")
    assert bench.engine.loads == [bench.name("a")]


async def test_what_nobody_waits_for_any_more_does_not_evict_another(narrow: Bench) -> None:
    done = asyncio.Event()
    using = narrow.start("a", done)
    await until(narrow.leased("a"))
    waiting = narrow.start("b")
    await until(narrow.staging("b"))
    await asyncio.sleep(0.01)
    await narrow.leave(waiting)
    done.set()
    await using
    assert narrow.holds("a")
