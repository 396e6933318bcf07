import asyncio
from pathlib import Path

import pytest

from serve_app.engine.preloading import Preloading
from serve_app.engine.stay import Phase
from serve_app.errors import AdapterLoading
from tests.unit.fakes import until
from tests.unit.residency_bench import Bench


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=2)


def _preloading(bench: Bench) -> Preloading:
    preloading = Preloading(bench.residency, retry_s=0.001)
    bench.on_change = preloading.look
    return preloading


async def test_versions_are_loaded_before_anybody_asks_as_far_as_there_is_room(
    bench: Bench,
) -> None:
    _preloading(bench).want(map(bench.version, "abc"))
    await until(lambda: bench.holds("a", "b"))
    await asyncio.sleep(0.01)
    assert bench.holds("a", "b")
    assert bench.engine.unloads == []


async def test_a_preloaded_version_holds_no_lease_and_makes_room(bench: Bench) -> None:
    _preloading(bench).want(map(bench.version, "ab"))
    await until(lambda: bench.holds("a", "b"))
    await bench.use("c")
    assert bench.name("c") in bench.engine.names
    assert bench.engine.violations == []


async def test_nothing_that_was_used_goes_for_it(bench: Bench) -> None:
    await bench.use("a")
    await bench.use("b")
    _preloading(bench).want([bench.version("c")])
    await asyncio.sleep(0.01)
    assert bench.holds("a", "b")
    bench.residency.retire(bench.name("a"))
    await until(lambda: bench.holds("b", "c"))


async def test_what_is_not_wanted_any_more_is_not_loaded(bench: Bench) -> None:
    await bench.use("a")
    await bench.use("b")
    preloading = _preloading(bench)
    preloading.want(map(bench.version, "cd"))
    preloading.forget([bench.name("c")])
    bench.residency.retire(bench.name("a"))
    await until(lambda: bench.holds("b", "d"))


async def test_one_that_is_refused_does_not_hold_up_the_next(bench: Bench) -> None:
    bench.failing("a")
    _preloading(bench).want(map(bench.version, "ab"))
    await until(lambda: bench.holds("b"))
    await asyncio.sleep(0.01)
    assert bench.engine.loads.count(bench.name("a")) == 1


async def test_one_whose_files_cannot_be_had_now_is_tried_again(bench: Bench) -> None:
    bench.files.failing[bench.name("a")] = AdapterLoading("control is away")
    _preloading(bench).want([bench.version("a")])
    await until(lambda: len(bench.files.staged) > 1)
    bench.files.failing.clear()
    await until(lambda: bench.holds("a"))


async def test_one_that_a_request_gave_up_on_is_brought_all_the_same(bench: Bench) -> None:
    gate = bench.slow_to_fetch("a")
    _preloading(bench).want([bench.version("a")])
    await until(bench.staging("a"))
    leaving = bench.start("a")
    await asyncio.sleep(0)
    await bench.leave(leaving)
    gate.set()
    await until(lambda: bench.holds("a"))


async def test_one_that_is_retired_meanwhile_is_not_brought(bench: Bench) -> None:
    bench.slow_to_fetch("a")
    _preloading(bench).want([bench.version("a")])
    await until(bench.staging("a"))
    bench.residency.retire(bench.name("a"))
    await until(lambda: not bench.files.under_way)
    assert bench.here() == set()


async def test_one_that_a_request_gave_up_on_evicts_nobody(bench: Bench) -> None:
    fetched, done = bench.slow_to_fetch("c"), asyncio.Event()
    bench.residency.preload(bench.version("c"))
    leaving = bench.start("c")
    users = [bench.start("a", done), bench.start("b", done)]
    await until(lambda: bench.leased("a")() and bench.leased("b")())
    fetched.set()
    await until(lambda: Phase.WAITING in [stay.phase for stay in bench.residency.stays()])
    await bench.leave(leaving)
    done.set()
    await asyncio.gather(*users)
    await asyncio.sleep(0.01)
    assert bench.holds("a", "b")
