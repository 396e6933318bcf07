import asyncio
import itertools
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.fake_engine import Bench
from tests.unit.fakes import until

SOON_S = 1.0
"""Well under the time a lease waits for room."""
TURN_S = 0.0005


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
    await until(lambda: bench.engine.held.keys() == bench.residency.names(), SOON_S)


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


users = st.lists(
    st.tuples(
        st.sampled_from("abcd"),
        st.integers(0, 4),  # turns of the loop it keeps its lease for
        st.none() | st.integers(0, 20),  # turns after which it is cancelled
    ),
    min_size=6,
    max_size=12,
)


async def _turns(number: int) -> None:
    for _ in range(number):
        await asyncio.sleep(TURN_S)


async def _use(bench: Bench, adapter: str, turns: int) -> None:
    done = asyncio.Event()
    using = bench.start(adapter, done)
    try:
        await until(lambda: using.done() or bench.leased(adapter)())
        await _turns(turns)
    finally:
        done.set()
        using.cancel() if not bench.leased(adapter)() else None
        await asyncio.wait([using])


async def _crowd(folder: Path, crowd: list[tuple[str, int, int | None]], bad: set[str]) -> Bench:
    bench = Bench(folder, capacity=2)
    bench.engine.pause_s = 2 * TURN_S
    for adapter in bad:
        bench.failing(adapter)
    tasks = []
    for adapter, turns, cancelled_after in crowd:
        task = asyncio.create_task(_use(bench, adapter, turns))
        tasks.append(task)
        if cancelled_after is not None:
            asyncio.get_running_loop().call_later(cancelled_after * TURN_S, task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: not bench.engine.busy)
    return bench


@given(users, st.sets(st.sampled_from("abcd"), max_size=1))
@settings(max_examples=60)
def test_whoever_comes_and_goes_capacity_and_leases_hold(
    crowd: list[tuple[str, int, int | None]], bad: set[str]
) -> None:
    async def story(folder: Path) -> None:
        bench = await _crowd(folder, crowd, bad)
        assert bench.engine.violations == []
        assert not any(bench.engine.leased.values())
        bench.engine.failing.clear()
        for adapter in itertools.islice(itertools.cycle("abcd"), 8):
            async with asyncio.timeout(SOON_S):
                await bench.use(adapter)
        assert bench.engine.held.keys() == bench.residency.names()
        assert bench.engine.violations == []

    with TemporaryDirectory() as folder:
        asyncio.run(story(Path(folder)))
