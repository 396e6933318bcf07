import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from serve_app.adapters.version import Version
from serve_app.engine.interface import EngineDead
from serve_app.routing.messages import Fetch, Operation, Reply
from serve_app.routing.view import TYPICAL
from tests.unit.fake_engine import USAGE
from tests.unit.fake_replica import Endless, Listener, a_replica, events, on_disk
from tests.unit.fakes import a_call, a_version, news_of, until

VLLM_ERROR = (
    b'data: {"error":{"message":"bad","type":"BadRequestError","param":"n","code":400}}\n\n'
)

UNMEASURED = replace(TYPICAL, seat_s=0.0, hold_s=0.0)


@pytest.fixture
def version(tmp_path: Path) -> Version:
    return on_disk(tmp_path, a_version("acme"))


def _error(reply: Reply) -> dict[str, str]:
    error: dict[str, str] = json.loads(reply.body)["error"]
    return error


async def test_a_streamed_answer_leaves_over_the_bus_of_its_gateway_alone(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(b"data: a\n\n", b"data: [DONE]\n\n")
    ours, theirs = Listener(replica, "g"), Listener(replica, "other")
    call = a_call(gateway="g")
    reply = await replica.generate(call)
    assert reply.streamed
    assert reply.usage == USAGE
    await until(lambda: ours.text(call).endswith(b"|"))
    assert ours.text(call) == b"data: a\n\ndata: [DONE]\n\n|"
    assert theirs.arrived == {}
    await ours.hang_up()
    await theirs.hang_up()


async def test_an_error_as_the_first_event_is_a_reply_and_no_output(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(VLLM_ERROR, b"data: [DONE]\n\n")
    listener = Listener(replica)
    reply = await replica.generate(a_call())
    await asyncio.sleep(0.01)
    assert (reply.status, _error(reply)["param"]) == (400, "n")
    assert listener.arrived == {}
    await listener.hang_up()


async def test_an_error_after_output_is_an_event_in_our_envelope(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(b"data: a\n\n", VLLM_ERROR, b"data: [DONE]\n\n")
    listener = Listener(replica)
    call = a_call()
    await replica.generate(call)
    await until(lambda: listener.text(call).endswith(b"|"))
    first, event, last = listener.text(call).removesuffix(b"|").split(b"\n\n", 2)
    assert first == b"data: a"
    assert json.loads(event.removeprefix(b"data: "))["error"]["code"] == "invalid_value"
    assert last == b"data: [DONE]\n\n"
    await listener.hang_up()


async def test_output_of_a_call_that_failed_is_not_kept_for_its_gateway(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(b"data: a\n\n", EngineDead("x"))
    await replica.generate(a_call())
    listener = Listener(replica)
    await until(lambda: len(listener.news) > 1)
    assert listener.arrived == {}
    await listener.hang_up()


async def test_an_answer_that_is_refused_is_closed(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = endless = Endless(VLLM_ERROR)
    assert (await replica.generate(a_call())).status == 400
    assert endless.closed


async def test_an_engine_that_dies_in_the_middle_never_claims_to_have_finished(
    tmp_path: Path,
) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(b"data: a\n\n", EngineDead("x"))
    listener = Listener(replica)
    call = a_call()
    reply = await replica.generate(call)
    await asyncio.sleep(0.01)
    assert reply.status == 503
    assert None not in listener.arrived.get(call.number, [])
    await listener.hang_up()


async def test_a_gateway_that_hangs_up_has_its_calls_aborted_and_no_others(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = Endless()
    listener = Listener(replica, "gone")
    gone = asyncio.create_task(replica.generate(a_call(gateway="gone")))
    stays = asyncio.create_task(replica.generate(a_call(gateway="stays")))
    await until(lambda: listener.arrived)
    await listener.hang_up()
    await asyncio.wait([gone], timeout=1)
    assert gone.cancelled()
    assert not stays.done()
    assert replica._news().in_flight == {"stays": 1}
    stays.cancel()


async def test_a_gateway_that_listens_again_misses_nothing_sent_since(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = events(b"data: a\n\n")
    stale = Listener(replica)
    await until(lambda: stale.news)
    fresh = Listener(replica)
    await until(lambda: fresh.news)
    call = a_call()
    await replica.generate(call)
    await until(lambda: fresh.text(call) == b"data: a\n\n|", timeout_s=1)


async def test_a_gateway_s_old_bus_ends_without_harm_to_its_new_one(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = endless = Endless()
    stale = Listener(replica)
    await until(lambda: stale.news)
    fresh = Listener(replica)
    await until(lambda: fresh.news)
    call = a_call()
    answering = asyncio.create_task(replica.generate(call))
    await until(lambda: replica._news().in_flight)
    await stale.hang_up()
    await asyncio.sleep(0.01)
    assert not endless.closed
    assert not fresh.reading.done()
    answering.cancel()
    await asyncio.wait([answering])
    await fresh.hang_up()


async def test_news_tell_what_the_replica_holds_and_how_busy_it_is(
    version: Version, tmp_path: Path
) -> None:
    replica, engine = await a_replica(tmp_path)
    engine.script = Endless()
    listener = Listener(replica)
    await until(lambda: listener.news)
    assert listener.news[0] == replace(news_of(capacity=4), max_loras=2, costs=UNMEASURED)
    call = replace(a_call(version), prompt_tokens=700, body={"stream": True})
    answering = asyncio.create_task(replica.generate(call))
    await until(lambda: listener.news[-1].in_flight)
    await until(lambda: listener.news[-1].holds == {version.name})
    await until(lambda: listener.news[-1].requests == {version.name: 1})
    await until(lambda: listener.news[-1].costs.prompt_token_s < TYPICAL.prompt_token_s)
    assert listener.news[-1].waiting_tokens == 0, "its first output has come"
    engine.alive = False
    await until(lambda: not listener.news[-1].alive)
    await listener.hang_up()
    await asyncio.wait([answering])


async def test_an_adapter_is_fetched_before_its_requests_come(
    version: Version, tmp_path: Path
) -> None:
    replica, engine = await a_replica(tmp_path)
    await replica.fetch(Fetch(version, replica._id()))
    assert engine.names == {version.name}
    assert replica._news().active == frozenset()
    reply = await replica.generate(a_call(version))
    assert reply.cold_load_s is None


async def test_a_fetch_that_fails_is_nobody_s_error(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    await replica.fetch(Fetch(a_version("unknown"), replica._id()))
    assert engine.names == set()


async def test_a_fetch_that_was_meant_for_another_replica_is_left_alone(
    version: Version, tmp_path: Path
) -> None:
    replica, engine = await a_replica(tmp_path)
    await replica.fetch(Fetch(version, "one that has gone"))
    assert engine.names == set()


async def test_no_busy_adapter_makes_room_for_one_that_nobody_asks_for(tmp_path: Path) -> None:
    replica, engine = await a_replica(tmp_path)
    *busy, other = [on_disk(tmp_path, a_version(name)) for name in ("a", "b", "c")]
    async with replica._residency.lease(busy[0]), replica._residency.lease(busy[1]):
        await replica.fetch(Fetch(other, replica._id()))
        assert engine.names == {version.name for version in busy}
    await replica.fetch(Fetch(other, replica._id()))
    assert other.name in engine.names


async def test_only_answers_that_were_generated_say_how_long_a_seat_is_kept(
    tmp_path: Path,
) -> None:
    replica, _ = await a_replica(tmp_path)
    await replica.generate(a_call(operation=Operation.TOKENIZE))
    assert replica._news().costs.seat_s == 0.0
    await replica.generate(a_call(operation=Operation.CHAT))
    assert replica._news().costs.seat_s > 0.0
