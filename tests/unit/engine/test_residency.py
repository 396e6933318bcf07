import asyncio
from pathlib import Path

import pytest

from serve_app.adapters.report import Residence
from serve_app.adapters.version import Version
from serve_app.engine.interface import EngineDead
from serve_app.engine.residency import Residency
from serve_app.engine.stays import STAGINGS
from serve_app.errors import AdapterLoading, AdapterRefused
from tests.unit.fakes import until
from tests.unit.residency_bench import Bench


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
    assert bench.witness.loads == [3.0]
    assert bench.residency.load_s == 3.0


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
    assert bench.here() == {bench.name("a")}
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
    assert bench.engine.unloads == [bench.name("b")]


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
    assert narrow.engine.names == {narrow.name("a")}
    second.set()
    await waiting
    assert narrow.holds("b")
    assert narrow.engine.violations == []


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
    assert narrow.engine.loads.count(narrow.name("b")) == 1


async def test_a_load_that_fails_leaves_nothing_and_tells_all_who_wait(bench: Bench) -> None:
    bench.failing("a")
    users = [bench.start("a") for _ in range(5)]
    results = await asyncio.gather(*users, return_exceptions=True)
    assert [type(result) for result in results] == [AdapterRefused] * 5
    assert bench.holds()
    assert len(bench.engine.loads) == 1


async def test_after_the_engine_failed_on_a_load_the_next_request_tries_again(bench: Bench) -> None:
    bench.failing("a", EngineDead("x"))
    with pytest.raises(EngineDead):
        await bench.use("a")
    bench.engine.failing.clear()
    assert await bench.use("a") is not None


async def test_a_version_that_was_refused_is_not_tried_again_for_a_while(bench: Bench) -> None:
    bench.failing("a", AdapterRefused("no good", code="adapter_bad"))
    refusals = []
    for _ in range(3):
        with pytest.raises(AdapterRefused) as refused:
            await bench.use("a")
        refusals.append((refused.value.message, refused.value.code))
    assert refusals == [("no good", "adapter_bad")] * 3
    assert len(bench.engine.loads) == bench.witness.failures == 1
    assert bench.states() == {"a": Residence.FAILED}


async def test_a_version_that_was_refused_is_tried_again_later(bench: Bench) -> None:
    bench.failing("a")
    with pytest.raises(AdapterRefused):
        await bench.use("a")
    bench.engine.failing.clear()
    bench.clock.now += 31
    assert await bench.use("a") is not None
    assert bench.states() == {"a": Residence.RESIDENT}


async def test_a_version_whose_files_vanish_is_refused_before_the_engine_sees_it(
    bench: Bench,
) -> None:
    async def vanished(version: Version) -> Path:
        return bench.files.path(version)

    bench.residency = Residency(bench.engine, vanished, bench.witness)
    with pytest.raises(AdapterRefused) as refused:
        await bench.use("a")
    assert refused.value.code == "adapter_file_missing"
    assert bench.holds()
    assert bench.engine.loads == []


async def test_a_version_that_could_not_be_fetched_may_be_asked_for_again(bench: Bench) -> None:
    bench.files.failing[bench.name("a")] = AdapterLoading("control is away")
    with pytest.raises(AdapterLoading):
        await bench.use("a")
    bench.files.failing.clear()
    await bench.use("a")
    assert bench.holds("a")


async def test_versions_are_fetched_side_by_side_but_not_all_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, capacity=16)
    gates = [bench.slow_to_fetch(adapter) for adapter in "abcdefgh"]
    users = [bench.start(adapter) for adapter in "abcdefgh"]
    await until(lambda: bench.files.under_way == STAGINGS)
    for gate in gates:
        gate.set()
    await asyncio.gather(*users)
    assert bench.files.most == STAGINGS
    assert bench.engine.violations == []


async def test_a_fast_fetch_does_not_wait_for_a_slow_one(bench: Bench) -> None:
    gate = bench.slow_to_fetch("slow")
    slow = bench.start("slow")
    await until(bench.staging("slow"))
    await bench.use("fast")
    gate.set()
    await slow
    assert bench.engine.loads == [bench.name("fast"), bench.name("slow")]


async def test_control_is_told_how_far_a_version_has_come(bench: Bench) -> None:
    fetched, loaded, done = bench.slow_to_fetch("a"), bench.slow("a"), asyncio.Event()
    using = bench.start("a", done)
    await until(bench.staging("a"))
    assert bench.states() == {"a": Residence.STAGING}
    fetched.set()
    await until(bench.loading("a"))
    assert bench.states() == {"a": Residence.LOADING}
    loaded.set()
    await until(bench.leased("a"))
    assert bench.states() == {"a": Residence.ACTIVE}
    (held,) = bench.residency.held()
    assert (held.leases, held.load_s) == (1, 0.0)
    done.set()
    await using
    assert bench.states() == {"a": Residence.RESIDENT}


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
