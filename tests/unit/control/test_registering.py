"""A registration from the command to its end, the same on SQLite and on Postgres."""

import asyncio
from collections.abc import Callable
from typing import Any

from serve_app.errors import AdapterRefused
from tests.unit.control.bench import OTHER, Bench, code_of, digest_of
from tests.unit.fakes import until


async def test_other_content_than_was_expected_is_refused(bench: Bench) -> None:
    answer = await bench.register("a", "/a", digest=digest_of("/b"))
    assert (answer.status, code_of(answer)) == (422, "adapter_digest_mismatch")
    assert (await bench.register("a", "/a", digest=digest_of("/a").upper())).status == 200


async def test_a_refused_adapter_shows_why_and_leaves_what_is_live(bench: Bench) -> None:
    await bench.register("a", "/a")
    bench.stager.failing["/bad"] = AdapterRefused("too large", code="adapter_rank_too_large")
    answer = await bench.register("a", "/bad")
    assert (answer.status, code_of(answer)) == (422, "adapter_rank_too_large")
    shown = (await bench.show("a")).body
    assert (shown["state"], shown["version"]) == ("live", 1)
    assert shown["registration"]["state"] == "failed"
    assert shown["registration"]["error"] == {
        "code": "adapter_rank_too_large",
        "message": "too large",
    }
    await bench.register("b", "/bad")
    assert (await bench.show("b")).body["state"] == "failed"
    assert bench.outcomes.outcomes == ["live", "adapter_rank_too_large", "adapter_rank_too_large"]


async def test_a_name_whose_registration_failed_is_free_for_others(bench: Bench) -> None:
    bench.stager.failing["/bad"] = AdapterRefused("bad")
    await bench.register("a", "/bad", owner="acme")
    answer = await bench.register("a", "/a", actor=OTHER)
    assert (answer.status, answer.body["owner"]) == (200, "other")


async def test_what_breaks_inside_is_a_500_that_tells_nothing(bench: Bench) -> None:
    bench.stager.failing["/bad"] = ZeroDivisionError("secret")
    answer = await bench.register("a", "/bad")
    assert answer.status == 500
    assert "secret" not in str(answer.body)
    assert (await bench.show("a")).body["registration"]["state"] == "failed"


async def test_who_does_not_wait_sees_how_far_it_has_come(bench: Bench) -> None:
    gate = bench.stager.gates["/a"] = asyncio.Event()
    answer = await bench.register("a", "/a", wait=False)
    assert (answer.status, answer.body["state"]) == (202, "registered")
    await until(lambda: bench.stager.staged)
    shown = (await bench.show("a")).body
    assert shown["registration"]["bytes"] == 1
    assert "a" not in bench.control.entries
    gate.set()
    await bench.control.settled()
    assert (await bench.show("a")).body["state"] == "live"


async def test_registrations_of_a_name_follow_one_another_others_run_beside(bench: Bench) -> None:
    gate = bench.stager.gates["/1"] = asyncio.Event()
    first = asyncio.create_task(bench.register("a", "/1"))
    await until(lambda: bench.stager.staged)
    second = asyncio.create_task(bench.register("a", "/2"))
    assert (await bench.register("b", "/b")).status == 200
    assert bench.stager.staged == [("a", "/1"), ("b", "/b")]
    gate.set()
    assert (await first).body["version"] == 1
    assert (await second).body["version"] == 2
    assert bench.control.entries["a"].current == 2


async def test_a_registration_goes_on_when_the_one_who_asked_leaves(bench: Bench) -> None:
    gate = bench.stager.gates["/a"] = asyncio.Event()
    asking = asyncio.create_task(bench.register("a", "/a"))
    await until(lambda: bench.stager.staged)
    asking.cancel()
    gate.set()
    await bench.control.settled()
    assert "a" in bench.control.entries


async def test_registrations_left_open_by_a_crash_are_taken_up_in_order(bench: Bench) -> None:
    gate = bench.stager.gates["/1"] = asyncio.Event()
    for source in ("/1", "/2"):
        await bench.register("a", source, wait=False, labels={"from": source})
    await bench.restart()
    gate.set()
    await bench.control.settled()
    assert (await bench.show("a")).body["labels"] == {"from": "/2"}
    assert await bench.states("a") == {2: "live", 1: "staged"}


async def test_removing_an_adapter_gives_up_what_is_on_its_way_to_it(bench: Bench) -> None:
    bench.stager.gates["/a"] = asyncio.Event()
    asking = asyncio.create_task(bench.register("a", "/a"))
    await until(lambda: bench.stager.staged)
    assert (await bench.remove("a")).status == 200
    answer = await asking
    assert (answer.status, code_of(answer)) == (409, "adapter_removed")
    assert (await bench.show("a")).status == 404
    await bench.control.settled()


async def test_a_candidate_that_does_not_answer_never_goes_live(make: Callable[..., Any]) -> None:
    bench: Bench = await make(canary=True)
    await bench.register("a", "/a")
    assert [version.adapter for version in bench.probe.asked] == ["a"]
    bench.probe.refusing.add("b")
    assert code_of(await bench.register("b", "/b")) == "adapter_canary_failed"
    assert "b" not in bench.control.entries


async def test_pinned_adapters_leave_an_engine_room_for_one_more(make: Callable[..., Any]) -> None:
    bench: Bench = await make(capacity=3)
    for name in ("a", "b"):
        assert (await bench.register(name, f"/{name}", pin=True)).status == 200
    answer = await bench.register("c", "/c", pin=True)
    assert (answer.status, code_of(answer)) == (409, "too_many_pinned")
    assert bench.stager.staged == [("a", "/a"), ("b", "/b")]
    await bench.register("a", "/2")
    assert code_of(await bench.alias("a", "old", "v1")) == "too_many_pinned"
    await bench.register("a", "/2", pin=False)
    assert (await bench.register("c", "/c", pin=True)).status == 200
