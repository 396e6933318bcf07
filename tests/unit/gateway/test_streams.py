"""A streamed answer, from the first wait to whatever ends it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import orjson
import pytest

from serve_app.errors import AdapterRefused
from serve_app.gateway.answers import DONE, KEEP_ALIVE
from serve_app.routing.messages import Call, Reply, Usage
from tests.unit.fake_gateway import Browser, Site, a_site
from tests.unit.fakes import FakeReplicas, until

WORD = b'data: {"id":"1","choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
LAST = b'data: {"id":"1","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
STREAMED = Reply(200, usage=Usage(3, 2))
ASKED: dict[str, Any] = {"messages": [], "stream": True}


class Replicas(FakeReplicas):
    """Each call runs the script, which may send over the bus of its replica."""

    def __init__(self, script: Callable[["Replicas", Call, str], Awaitable[Reply]]) -> None:
        async def answer(call: Call, replica: str) -> Reply:
            return await script(self, call, replica)

        super().__init__("r1", "r2", answer=answer)


async def _speaks(replicas: Replicas, call: Call, replica: str) -> Reply:
    replicas.send(replica, call, WORD, WORD, LAST, DONE, None)
    return STREAMED


async def _thinks(replicas: Replicas, call: Call, replica: str) -> Reply:
    await asyncio.sleep(0.05)
    return await _speaks(replicas, call, replica)


async def _hangs(replicas: Replicas, call: Call, replica: str) -> Reply:
    replicas.send(replica, call, WORD)
    await asyncio.sleep(3600)
    return STREAMED


async def _dies(replicas: Replicas, call: Call, replica: str) -> Reply:
    replicas.send(replica, call, WORD)
    await asyncio.sleep(0.01)
    raise ConnectionError("gone")


async def _refuses(_replicas: Replicas, _call: Call, _replica: str) -> Reply:
    await asyncio.sleep(0.02)
    error = AdapterRefused("bad", code="adapter_bad")
    return Reply(error.status, orjson.dumps(error.envelope()), headers=error.headers)


async def _says_nothing(replicas: Replicas, call: Call, replica: str) -> Reply:
    replicas.send(replica, call, None)
    return STREAMED


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site(Replicas(_speaks)) as site:
        yield site


async def test_a_stream_says_everything_and_who_said_it_on_its_last_chunk(site: Site) -> None:
    response = await site.post(**ASKED)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["x-serve-adapter"].startswith("finance@")
    assert response.headers["x-serve-replica"] == site.replicas.routed[0]
    events = response.content.replace(KEEP_ALIVE, b"").split(b"\n\n")[:-1]
    assert events[-1] == b"data: [DONE]"
    first, second, last = (orjson.loads(event.removeprefix(b"data: ")) for event in events[:-1])
    assert "metadata" not in first | second
    assert last["metadata"].keys() == {"tenant", "lora_used", "latency_s"}
    assert last["metadata"]["tenant"] == "acme"


async def test_a_stream_without_any_output_ends(site: Site) -> None:
    async with a_site(Replicas(_says_nothing)) as silent:
        response = await silent.post(**ASKED)
        assert response.status_code == 200
        assert response.content.replace(KEEP_ALIVE, b"") == b""


async def test_the_head_waits_for_the_first_word() -> None:
    async with a_site(Replicas(_thinks)) as site:
        browser = Browser(site, ASKED)
        await until(lambda: site.replicas.routed)
        await asyncio.sleep(0.01)
        assert browser.head is None
        await browser.request
        assert browser.text.startswith(WORD)


async def test_a_refusal_before_the_head_is_a_status() -> None:
    async with a_site(Replicas(_refuses)) as site:
        response = await site.post(**ASKED)
        assert (response.status_code, response.json()["error"]["code"]) == (422, "adapter_bad")
        assert response.headers["x-should-retry"] == "false"
        assert response.headers["content-type"] == "application/json"


async def test_a_stream_that_has_nothing_to_say_yet_is_kept_alive() -> None:
    async with a_site(Replicas(_thinks), head_hold_s=0.01, keep_alive_s=0.01) as site:
        response = await site.post(**ASKED)
        assert response.content.startswith(KEEP_ALIVE + KEEP_ALIVE)
        assert response.content.endswith(DONE)


async def test_a_refusal_after_the_head_is_an_event() -> None:
    async with a_site(Replicas(_refuses), head_hold_s=0.001, keep_alive_s=0.005) as site:
        response = await site.post(**ASKED)
        assert response.status_code == 200
        said = response.content.replace(KEEP_ALIVE, b"")
        event = orjson.loads(said.removeprefix(b"data: ").removesuffix(b"\n\n" + DONE))
        assert event["error"]["code"] == "adapter_bad"
        assert site.metrics.requests[0][:2] == ("acme", "adapter_bad")


async def test_a_replica_lost_in_the_middle_is_an_event_and_is_not_retried() -> None:
    async with a_site(Replicas(_dies)) as site:
        response = await site.post(**ASKED)
        event = orjson.loads(response.content.split(b"\n\n")[1].removeprefix(b"data: "))
        assert event["error"]["code"] == "replica_lost"
        assert response.content.endswith(DONE)
        assert len(site.replicas.routed) == 1
        assert site.metrics.requests[0][1] == "replica_lost"


async def test_a_deadline_in_the_middle_is_an_event() -> None:
    async with a_site(Replicas(_hangs), request_timeout_s=0.05) as site:
        response = await site.post(**ASKED)
        assert response.content.startswith(WORD)
        assert b'"code":"timeout"' in response.content
        assert response.content.endswith(DONE)
        assert site.replicas.responses[0].cancelled


async def test_a_client_that_leaves_ends_its_call_and_no_other() -> None:
    async with a_site(Replicas(_hangs)) as site:
        leaves, stays = Browser(site, ASKED), Browser(site, ASKED)
        await until(lambda: leaves.text and stays.text)
        leaves.hang_up()
        await asyncio.wait([leaves.request])
        assert [response.cancelled for response in site.replicas.responses] == [True, False]
        assert [request[1] for request in site.metrics.requests] == ["client_gone"]
        stays.hang_up()
        await asyncio.wait([stays.request])


async def test_a_connection_that_breaks_is_a_client_that_left() -> None:
    async with a_site(Replicas(_thinks), head_hold_s=0.001, keep_alive_s=0.005) as site:
        browser = Browser(site, ASKED)
        await until(lambda: browser.text)
        browser.broken = True
        await asyncio.wait([browser.request])
        assert browser.request.exception() is not None
        assert [request[1] for request in site.metrics.requests] == ["client_gone"]


async def test_a_client_that_leaves_before_the_head_ends_its_call() -> None:
    async with a_site(Replicas(_thinks)) as site:
        browser = Browser(site, ASKED)
        await until(lambda: site.replicas.routed)
        browser.hang_up()
        await asyncio.wait([browser.request])
        assert site.replicas.responses[0].cancelled


async def test_streams_of_two_clients_never_mix() -> None:
    async def echo(replicas: Replicas, call: Call, replica: str) -> Reply:
        for _ in range(20):
            replicas.send(replica, call, f"data: {call.request_id}\n\n".encode())
            await asyncio.sleep(0)
        replicas.send(replica, call, None)
        return STREAMED

    async with a_site(Replicas(echo)) as site:
        ids = [f"client-{number}" for number in range(8)]
        responses = await asyncio.gather(
            *(site.post(headers={"x-request-id": id_}, **ASKED) for id_ in ids)
        )
        for id_, response in zip(ids, responses, strict=True):
            assert response.content == f"data: {id_}\n\n".encode() * 20
