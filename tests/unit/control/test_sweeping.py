"""Content stays as long as anything refers to it, and for the grace after that."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.unit.control.bench import Bench, digest_of
from tests.unit.fakes import until


@pytest.fixture
async def bench(sqlite: str) -> AsyncIterator[Bench]:
    bench = await Bench(sqlite, grace_s=300).start()
    yield bench
    await bench.control.close()


async def test_content_is_deleted_when_the_grace_after_its_last_version_is_over(
    bench: Bench,
) -> None:
    await bench.register("a")
    await bench.remove("a")
    await bench.passes(20)
    assert await bench.states("a") == {1: "gone"}
    await bench.passes(299)
    assert bench.contents.kept == {digest_of("/a")}
    await bench.passes(11)
    assert bench.contents.kept == set()


async def test_the_grace_goes_on_over_a_restart(bench: Bench) -> None:
    await bench.register("a")
    await bench.remove("a")
    await bench.passes(20)
    bench.clock.now += 200
    await bench.restart()
    await bench.passes(101)
    assert bench.contents.kept == set()


async def test_content_of_two_adapters_stays_for_the_one_that_is_left(bench: Bench) -> None:
    for name in ("a", "b"):
        await bench.register(name, "/same")
    await bench.remove("a")
    for _ in range(4):
        await bench.passes(200)
    assert bench.contents.kept == {digest_of("/same")}
    assert await bench.states("a") == {1: "gone"}


async def test_content_a_replica_still_holds_stays(bench: Bench) -> None:
    await bench.register("a")
    name = bench.version("a", 1).name
    await bench.remove("a")
    for _ in range(40):
        bench.report(name)
        await bench.passes(10)
    assert bench.contents.kept == {digest_of("/a")}
    assert await bench.states("a") == {1: "retiring"}


async def test_what_a_failed_registration_left_is_deleted_too(bench: Bench) -> None:
    await bench.register("a", "/a", digest=digest_of("/b"))
    await bench.passes(1)
    await bench.passes(290)
    assert bench.contents.kept == {digest_of("/a")}
    await bench.passes(11)
    assert bench.contents.kept == set()


async def test_content_swept_while_its_registration_waits_is_staged_again(bench: Bench) -> None:
    gate = asyncio.Event()

    async def probe(_version: object) -> None:
        await gate.wait()

    bench.probe.probe = probe  # type: ignore[method-assign, assignment]
    object.__setattr__(bench._workshop, "probe", bench.probe)
    asking = asyncio.create_task(bench.register("a"))
    await until(lambda: bench.contents.kept)
    bench.contents.kept.clear()
    gate.set()
    assert (await asking).status == 200
    assert bench.contents.kept == {digest_of("/a")}


async def test_nothing_is_gone_before_every_replica_had_the_time_to_report(bench: Bench) -> None:
    await bench.register("a")
    await bench.remove("a")
    await bench.restart()
    await bench.passes(14)
    assert await bench.states("a") == {1: "retiring"}
    await bench.passes(2)
    assert await bench.states("a") == {1: "gone"}


async def test_a_replica_that_has_not_heard_of_the_removal_may_still_load_it(
    bench: Bench,
) -> None:
    await bench.register("a")
    behind = bench.control.revision
    await bench.remove("a")
    for _ in range(3):
        bench.report(revision=behind)
        await bench.passes(10)
    assert await bench.states("a") == {1: "retiring"}
    await bench.passes(16)
    assert await bench.states("a") == {1: "gone"}


async def test_content_that_a_replica_is_still_trying_is_not_swept(sqlite: str) -> None:
    bench = await Bench(sqlite, grace_s=1, canary=True).start()
    bench.probe.gate = asyncio.Event()
    registering = asyncio.create_task(bench.register("a"))
    await until(lambda: bench.probe.asked)
    for _ in range(3):
        await bench.passes(20)
    assert bench.contents.kept == {digest_of("/a")}
    bench.probe.gate.set()
    assert (await registering).status == 200
    assert len(bench.probe.asked) == 1
    await bench.control.close()
