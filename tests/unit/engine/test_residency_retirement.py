import asyncio
from pathlib import Path

import pytest

from serve_app.adapters.report import Residence
from serve_app.engine.interface import EngineDead
from serve_app.errors import AdapterRemoved
from tests.unit.fakes import until
from tests.unit.residency_bench import Bench

LATER_S = 3600.0


@pytest.fixture
async def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=2)


async def _busy(bench: Bench, adapter: str) -> tuple[asyncio.Event, "asyncio.Task[float | None]"]:
    done = asyncio.Event()
    using = bench.start(adapter, done)
    await until(bench.leased(adapter))
    return done, using


async def test_a_retired_version_nobody_uses_leaves_at_once(bench: Bench) -> None:
    await bench.use("a")
    bench.residency.retire(bench.name("a"))
    await until(bench.holds)
    assert bench.witness.evictions == ["retired"]


async def test_a_retired_version_leaves_when_its_last_lease_ends(bench: Bench) -> None:
    done, using = await _busy(bench, "a")
    bench.residency.retire(bench.name("a"))
    assert bench.states() == {"a": Residence.LEAVING}
    later, late = await _busy(bench, "a")
    done.set()
    await using
    assert bench.engine.names == {bench.name("a")}
    later.set()
    await late
    await until(bench.holds)
    assert bench.engine.violations == []


async def test_a_version_is_reported_until_the_engine_has_let_go(bench: Bench) -> None:
    await bench.use("a")
    gate = bench.slow("a")
    bench.residency.retire(bench.name("a"))
    await until(lambda: bench.engine.unloads)
    assert bench.states() == {"a": Residence.LEAVING}
    gate.set()
    await until(lambda: bench.states() == {})
    assert not bench.engine.names


async def test_a_version_asked_for_again_after_it_was_retired_loads_again(bench: Bench) -> None:
    await bench.use("a")
    bench.residency.retire(bench.name("a"))
    await until(bench.holds)
    bench.clock.now += 60
    await bench.use("a")
    await asyncio.sleep(0.01)
    assert bench.holds("a")


async def test_what_a_gateway_that_is_behind_loads_does_not_stay(bench: Bench) -> None:
    bench.residency.retire(bench.name("a"))
    bench.residency.retire(bench.name("b"), abort_after_s=0)
    bench.clock.now += 1
    assert await bench.use("a") is not None
    assert await bench.use("b") is not None
    await until(bench.holds)


async def test_a_removed_version_stays_away_however_late_it_is_asked_for(bench: Bench) -> None:
    bench.residency.retire(bench.name("a"), abort_after_s=0)
    bench.clock.now += LATER_S
    await bench.use("a")
    await until(bench.holds)
    assert bench.witness.evictions == ["removed"]


async def test_a_removed_version_s_requests_are_aborted_in_the_end(bench: Bench) -> None:
    _, using = await _busy(bench, "a")
    bench.residency.retire(bench.name("a"), abort_after_s=0.01)
    with pytest.raises(AdapterRemoved) as aborted:
        await using
    assert (aborted.value.status, aborted.value.code) == (410, "adapter_removed")
    await until(bench.holds)
    assert bench.engine.violations == []


async def test_requests_that_wait_for_a_removed_version_are_aborted_too(bench: Bench) -> None:
    bench.slow_to_fetch("a")
    waiting = bench.start("a")
    await until(bench.staging("a"))
    bench.residency.retire(bench.name("a"), abort_after_s=0)
    with pytest.raises(AdapterRemoved):
        await waiting
    await until(lambda: not bench.files.under_way)
    assert bench.holds()


async def test_a_version_that_is_back_in_time_aborts_nobody(bench: Bench) -> None:
    done, using = await _busy(bench, "a")
    bench.residency.retire(bench.name("a"), abort_after_s=0.02)
    bench.residency.restore(bench.name("a"))
    await asyncio.sleep(0.05)
    assert bench.states() == {"a": Residence.ACTIVE}
    done.set()
    await using
    assert bench.holds("a")


async def test_a_time_out_of_the_user_s_own_is_its_own(bench: Bench) -> None:
    with pytest.raises(TimeoutError):
        async with bench.residency.lease(bench.version("a")):
            raise TimeoutError
    assert bench.holds("a")


async def test_an_engine_that_keeps_what_it_was_told_to_free_is_replaced(bench: Bench) -> None:
    await bench.use("a")
    bench.engine.keeping.add(bench.name("a"))
    bench.residency.retire(bench.name("a"))
    await until(lambda: not bench.residency.sound)
    with pytest.raises(EngineDead):
        await bench.residency.check()
    with pytest.raises(EngineDead):
        await bench.use("a")
    assert bench.states() == {"a": Residence.LEAVING}


async def test_what_the_engine_holds_and_nobody_knows_is_freed(bench: Bench) -> None:
    await bench.use("a")
    bench.engine.holding[77] = "stray@000000000000"
    await bench.residency.check()
    assert bench.holds("a")


async def test_a_load_under_way_is_not_taken_for_a_stray(bench: Bench) -> None:
    gate = bench.slow("a")
    using = bench.start("a")
    await until(bench.loading("a"))
    await bench.residency.check()
    gate.set()
    await using
    assert bench.holds("a")
