import asyncio
from pathlib import Path

import pytest

from serve_app.engine.places import Patience
from serve_app.engine.stay import Phase
from serve_app.errors import AdapterLoading
from tests.unit.fakes import until
from tests.unit.residency_bench import Bench


@pytest.fixture
async def narrow(tmp_path: Path) -> Bench:
    return Bench(tmp_path, capacity=1)


async def _busy(bench: Bench, adapter: str) -> tuple[asyncio.Event, "asyncio.Task[float | None]"]:
    done = asyncio.Event()
    using = bench.start(adapter, done)
    await until(bench.leased(adapter))
    return done, using


async def _turn_is_over(bench: Bench, waiting: str) -> None:
    """The adapter has waited for longer than the busy one is left alone."""
    name = bench.name(waiting)
    await until(
        lambda: (name, Phase.WAITING) in [(s.name, s.phase) for s in bench.residency.stays()]
    )
    bench.clock.now += 1
    await until(lambda: bench.residency.stays()[0].held_back)


async def test_without_room_in_time_the_request_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 1, Patience(room_s=0.01))
    done, using = await _busy(bench, "a")
    with pytest.raises(AdapterLoading) as refused:
        await bench.use("b")
    assert refused.value.status == 503
    assert "Retry-After" in refused.value.headers
    done.set()
    await using
    assert bench.holds("a")


async def test_beyond_so_many_waiting_requests_are_refused_at_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2, Patience(requests=3))
    gate = bench.slow("a")
    users = [bench.start("a") for _ in range(3)]
    await until(bench.loading("a"))
    for adapter in "ab":
        with pytest.raises(AdapterLoading) as refused:
            await bench.use(adapter)
        assert "Retry-After" in refused.value.headers
    gate.set()
    await asyncio.gather(*users)
    await bench.use("b")
    assert bench.residency.waiting == 0


async def test_a_resident_version_answers_however_many_wait_for_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2, Patience(requests=1))
    await bench.use("a")
    gate = bench.slow("b")
    waiting = bench.start("b")
    await until(bench.loading("b"))
    assert await bench.use("a") is None
    gate.set()
    await waiting


async def test_room_is_given_in_the_order_of_asking(narrow: Bench) -> None:
    done, using = await _busy(narrow, "a")
    waiting = []
    for adapter in "bcd":
        waiting.append(narrow.start(adapter))
        await until(lambda: narrow.residency.waiting == len(waiting))
        await asyncio.sleep(0.01)
    done.set()
    await asyncio.gather(using, *waiting)
    assert narrow.engine.loads == [narrow.name(adapter) for adapter in "abcd"]
    assert narrow.witness.evictions == ["room"] * 3


async def test_a_version_used_often_outlives_one_used_last(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2)
    for adapter in "aaab":
        await bench.use(adapter)
    await bench.use("c")
    assert bench.holds("a", "c")


async def test_a_version_that_is_slow_to_load_outlives_one_that_is_fast(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2)
    gate = bench.slow("slow")
    using = bench.start("slow")
    await until(bench.loading("slow"))
    bench.clock.now += 60
    gate.set()
    await using
    await bench.use("fast")
    await bench.use("c")
    assert bench.holds("slow", "c")


async def test_a_pinned_version_is_never_evicted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2, Patience(room_s=0.05))
    bench.residency.pin([bench.name("a")])
    for adapter in "abcdbc":
        await bench.use(adapter)
    assert bench.name("a") in bench.engine.names
    assert bench.engine.loads.count(bench.name("a")) == 1
    assert bench.residency.pinned == 1


async def test_a_version_that_is_not_pinned_any_more_makes_room(narrow: Bench) -> None:
    narrow.residency.pin([narrow.name("a")])
    await narrow.use("a")
    waiting = narrow.start("b")
    await until(narrow.staging("b"))
    await asyncio.sleep(0.01)
    assert narrow.engine.unloads == []
    narrow.residency.unpin([narrow.name("a")])
    await waiting
    assert narrow.holds("b")


async def test_a_version_that_is_always_busy_makes_room_when_its_turn_is_over(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, 1, Patience(turn_s=0.01))
    done, using = await _busy(bench, "a")
    waiting = bench.start("b")
    await _turn_is_over(bench, "b")
    late = bench.start("a")
    await asyncio.sleep(0.01)
    assert not late.done()
    done.set()
    await asyncio.gather(using, waiting)
    assert await late is not None
    assert bench.engine.loads == [bench.name(adapter) for adapter in "aba"]
    assert bench.engine.violations == []


async def test_a_busy_version_is_left_alone_again_when_nobody_waits(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 1, Patience(turn_s=0.01))
    done, using = await _busy(bench, "a")
    waiting = bench.start("b")
    await _turn_is_over(bench, "b")
    late = bench.start("a")
    await asyncio.sleep(0.01)
    await bench.leave(waiting)
    assert await late is None
    done.set()
    await using
    assert bench.engine.loads == [bench.name("a")]


async def test_a_thousand_requests_for_one_cold_adapter_load_it_once(tmp_path: Path) -> None:
    bench = Bench(tmp_path, 2)
    await asyncio.gather(*[bench.start("a") for _ in range(1000)])
    assert bench.files.staged == bench.engine.loads == [bench.name("a")]
