import asyncio
from pathlib import Path

import pytest

from serve_app.adapters.version import WEIGHTS_FILE
from serve_app.engine.interface import EngineDead
from serve_app.errors import AdapterLoading, AdapterRefused
from tests.unit.fake_engine import Bench
from tests.unit.fakes import until


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=2)


@pytest.fixture
async def narrow(tmp_path: Path) -> Bench:
    """Room for one adapter."""
    return Bench(tmp_path, capacity=1)


async def test_the_base_needs_no_lease(bench: Bench) -> None:
    async with bench.residency.lease(None) as load_s:
        assert load_s is None
    assert bench.engine.loads == []


async def test_a_cold_lease_tells_how_long_its_load_took(bench: Bench) -> None:
    gate = bench.slow("a")
    using = bench.start("a")
    await until(bench.loading("a"))
    bench.clock.now += 3
    gate.set()
    assert await using == 3.0
    assert bench.load_times == [3.0]


async def test_a_resident_version_is_not_loaded_again(bench: Bench) -> None:
    await bench.use("a")
    assert await bench.use("a") is None
    assert len(bench.engine.loads) == 1


async def test_a_version_is_loaded_once_however_many_wait(bench: Bench) -> None:
    users = [bench.start("a") for _ in range(50)]
    await asyncio.gather(*users)
    assert len(bench.engine.loads) == 1


async def test_a_version_counts_as_held_while_it_loads(bench: Bench) -> None:
    gate = bench.slow("a")
    using = bench.start("a")
    await until(bench.loading("a"))
    assert bench.residency.names() == {bench.version("a").name}
    gate.set()
    await using


async def test_loads_follow_one_another(bench: Bench) -> None:
    await asyncio.gather(bench.use("a"), bench.use("b"))
    assert bench.holds("a", "b")
    assert bench.engine.violations == []


async def test_the_version_used_longest_ago_makes_room(bench: Bench) -> None:
    for adapter in ("a", "b", "a", "c"):
        await bench.use(adapter)
    assert bench.holds("a", "c")
    assert bench.engine.unloads == [bench.version("b").name]


async def test_an_evicted_version_comes_back_under_a_new_id(bench: Bench) -> None:
    for adapter in ("a", "b", "c", "a"):
        await bench.use(adapter)
    assert len(bench.engine.ids) == 4
    assert bench.engine.violations == []


async def test_a_leased_version_stays_until_its_last_user_is_gone(narrow: Bench) -> None:
    first, second = asyncio.Event(), asyncio.Event()
    users = [narrow.start("a", first), narrow.start("a", second)]
    await until(lambda: narrow.leased("a")() == 2)
    waiting = narrow.start("b")
    first.set()
    await users[0]
    assert narrow.holds("a")
    second.set()
    await waiting
    assert narrow.holds("b")
    assert narrow.engine.violations == []


async def test_without_room_in_time_the_request_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity=1, room_timeout_s=0.01)
    forever = asyncio.Event()
    using = bench.start("a", forever)
    await until(bench.leased("a"))
    with pytest.raises(AdapterLoading) as refused:
        await bench.use("b")
    assert refused.value.status == 503
    assert "Retry-After" in refused.value.headers
    forever.set()
    await using
    assert bench.holds("a")


async def test_who_waits_for_room_takes_the_version_if_another_brought_it(narrow: Bench) -> None:
    done, later = asyncio.Event(), asyncio.Event()
    using = narrow.start("a", done)
    await until(narrow.leased("a"))
    waiting = [narrow.start("b", later), narrow.start("b", later)]
    await asyncio.sleep(0)
    done.set()
    await until(lambda: narrow.leased("b")() == 2)
    later.set()
    await asyncio.gather(using, *waiting)
    assert narrow.engine.loads.count(narrow.version("b").name) == 1


async def test_a_load_that_fails_leaves_nothing_and_tells_all_who_wait(bench: Bench) -> None:
    bench.failing("a")
    users = [bench.start("a") for _ in range(5)]
    results = await asyncio.gather(*users, return_exceptions=True)
    assert [type(result) for result in results] == [AdapterRefused] * 5
    assert bench.holds()
    assert len(bench.engine.loads) == 1


async def test_after_a_load_that_failed_the_next_request_tries_again(bench: Bench) -> None:
    bench.failing("a", EngineDead("x"))
    with pytest.raises(EngineDead):
        await bench.use("a")
    bench.engine.failing.clear()
    assert await bench.use("a") is not None


async def test_a_version_whose_files_are_gone_leaves_nothing(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / WEIGHTS_FILE).unlink()
    with pytest.raises((OSError, AdapterRefused)):
        await bench.use("a")
    assert bench.holds()
    assert bench.engine.loads == []


async def test_a_user_that_fails_gives_its_lease_back(narrow: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        async with narrow.residency.lease(narrow.version("a")):
            raise ZeroDivisionError
    await narrow.use("b")
    assert narrow.holds("b")


async def test_a_load_goes_on_when_the_one_who_asked_for_it_leaves(bench: Bench) -> None:
    gate = bench.slow("a")
    leaving, staying = bench.start("a"), bench.start("a")
    await until(bench.loading("a"))
    leaving.cancel()
    gate.set()
    await staying
    assert len(bench.engine.loads) == 1
    assert bench.holds("a")


async def test_who_leaves_while_waiting_for_a_load_leaves_no_lease(narrow: Bench) -> None:
    gate = narrow.slow("a")
    leaving = narrow.start("a")
    await until(narrow.loading("a"))
    leaving.cancel()
    await asyncio.wait([leaving])
    gate.set()
    await until(lambda: narrow.holds("a"))
    await narrow.use("b")
    assert narrow.holds("b")
