import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.errors import Overloaded, ReplicaLost
from serve_app.gateway.answers import (
    DONE,
    KEEP_ALIVE,
    StreamedAnswer,
    error_response,
    with_metadata,
    with_stream_metadata,
)
from serve_app.routing.messages import Reply
from tests.unit.fakes import until

METADATA = {"tenant": "acme", "lora_used": "a", "latency_s": 0.1}
FINISHED = b'data: {"choices":[{"index":0,"finish_reason":"stop"}]}\n\n'
WORD = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'


def test_an_error_is_answered_in_the_envelope_with_its_headers() -> None:
    response = error_response(Overloaded("busy", retry_after_s=2))
    assert response.status_code == 503
    assert response.headers["retry-after"] == "2"
    assert response.headers["content-type"] == "application/json"
    assert orjson.loads(response.body)["error"]["code"] == "overloaded"


def test_metadata_are_the_last_member_of_an_answer() -> None:
    body = with_metadata(b'{"id":"1","choices":[]}\n', METADATA)
    assert body.startswith(b'{"id":"1","choices":[],"metadata":{')
    assert orjson.loads(body)["metadata"] == METADATA


def test_metadata_that_are_the_client_s_own_stay() -> None:
    body = b'{"id":"1","metadata":{"mine":"x"}}'
    assert with_metadata(body, METADATA) == body


texts = st.text(max_size=20) | st.sampled_from(
    ['"metadata":', '","finish_reason":"stop"', "}\n\n", "data: [DONE]", '\\"finish_reason":"']
)
leaves = st.none() | st.booleans() | st.integers(-9, 9) | texts
trees = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
answers = st.dictionaries(texts.filter(lambda key: key != "metadata"), trees, min_size=1)


@given(answers, st.booleans())
def test_metadata_change_nothing_else_in_an_answer(answer: dict[str, Any], nested: bool) -> None:
    if nested:
        answer["nested"] = {"metadata": 1}
    body = with_metadata(orjson.dumps(answer), METADATA)
    assert orjson.loads(body) == answer | {"metadata": METADATA}


def _chunk(text: str, reason: str | None) -> dict[str, Any]:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": reason, "stop_reason": None}
    return {"id": "1", "choices": [choice], "usage": None}


chunks = st.lists(st.tuples(texts, st.sampled_from([None, None, "stop", "length"])), max_size=5)


@given(chunks, st.booleans())
def test_metadata_are_on_every_finishing_event_and_on_no_other(
    said: list[tuple[str, str | None]], done: bool
) -> None:
    sent = [_chunk(text, reason) for text, reason in said]
    events = [b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in sent]
    data = b"".join([*events, DONE] if done else events)
    arrived = with_stream_metadata(data, lambda: METADATA)
    assert arrived.endswith(DONE) is done
    arrived = arrived.removesuffix(DONE)
    received = [
        orjson.loads(event.removeprefix(b"data: ")) for event in arrived.split(b"\n\n")[:-1]
    ]
    assert received == [
        chunk | ({"metadata": METADATA} if reason else {})
        for chunk, (_, reason) in zip(sent, said, strict=True)
    ]


def test_metadata_are_made_when_the_answer_finishes_not_before() -> None:
    made: list[int] = []

    def metadata() -> dict[str, Any]:
        made.append(1)
        return METADATA

    assert with_stream_metadata(WORD, metadata) == WORD
    assert made == []
    with_stream_metadata(FINISHED, metadata)
    assert made == [1]


class FakeExchange:
    """Gives out what it is told to, one piece a call; an error is raised; a number of seconds is
    slept for.

    Attributes:
        closed: how often it was closed.
        reply: how the call ended.
    """

    def __init__(self, *pieces: bytes | float | Exception, reply: Reply | None = None) -> None:
        self._pieces = list(pieces)
        self.closed = 0
        self.reply = reply
        self.call = None

    async def next(self, _timeout_s: float) -> bytes | None:
        if not self._pieces:
            return None
        piece = self._pieces.pop(0)
        if isinstance(piece, Exception):
            raise piece
        if isinstance(piece, float):
            await asyncio.sleep(piece)
            return b""
        return piece

    def close(self) -> None:
        self.closed += 1


class Client:
    """What a server would have sent, and how the stream ended."""

    def __init__(self, exchange: FakeExchange, first: bytes = b"") -> None:
        self.messages: list[MutableMapping[str, Any]] = []
        self.ends: list[str | None] = []
        self.exchange = exchange
        self.answer = StreamedAnswer(
            exchange,  # type: ignore[arg-type]
            first,
            {"x-serve-adapter": "a"},
            keep_alive_s=1,
            metadata=lambda: METADATA,
            on_end=self.ends.append,
        )

    @property
    def body(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        self.messages.append(message)

    async def read(self, send: Callable[[Any], Awaitable[None]] | None = None) -> None:
        await self.answer({"type": "http"}, self._receive, send or self.send)

    async def _receive(self) -> MutableMapping[str, Any]:
        await asyncio.sleep(3600)
        return {"type": "http.disconnect"}


async def test_a_stream_is_copied_and_its_exchange_closed() -> None:
    client = Client(FakeExchange(WORD, FINISHED + DONE), first=WORD)
    await client.read()
    assert client.body.startswith(WORD + WORD)
    assert client.body.endswith(DONE)
    assert b'"metadata":{"tenant":"acme"' in client.body
    assert [message["more_body"] for message in client.messages[1:]] == [True, True, True, False]
    assert (client.ends, client.exchange.closed) == ([None], 1)


async def test_the_head_of_a_stream_lets_no_proxy_keep_it_back() -> None:
    client = Client(FakeExchange())
    await client.read()
    assert client.messages[0]["status"] == 200
    headers = dict(client.messages[0]["headers"])
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"x-accel-buffering"] == b"no"
    assert headers[b"x-serve-adapter"] == b"a"
    assert b"content-length" not in headers


async def test_a_stream_without_output_is_kept_alive_by_comments() -> None:
    client = Client(FakeExchange(b"", b"", WORD))
    await client.read()
    assert client.body == KEEP_ALIVE * 3 + WORD


async def test_an_error_after_the_head_is_an_event_and_the_end() -> None:
    client = Client(FakeExchange(ReplicaLost("gone")), first=WORD)
    await client.read()
    event, rest = client.body.removeprefix(WORD + b"data: ").split(b"\n\n", 1)
    assert orjson.loads(event)["error"]["code"] == "replica_lost"
    assert rest == DONE
    assert client.ends == ["replica_lost"]
    assert client.messages[-1]["more_body"] is False


async def test_a_refusal_after_the_head_is_an_event_and_the_end() -> None:
    body = orjson.dumps(Overloaded("no room").envelope())
    client = Client(FakeExchange(b"", reply=Reply(503, body)))
    await client.read()
    event, rest = client.body.removeprefix(KEEP_ALIVE * 2 + b"data: ").split(b"\n\n", 1)
    assert orjson.loads(event)["error"]["code"] == "overloaded"
    assert rest == DONE
    assert client.ends == ["overloaded"]


async def test_a_client_that_cannot_be_written_to_ends_the_call() -> None:
    async def gone(message: MutableMapping[str, Any]) -> None:
        raise OSError("broken pipe")

    client = Client(FakeExchange(WORD))
    with pytest.raises(OSError, match="broken pipe"):
        await client.read(gone)
    assert (client.ends, client.exchange.closed) == (["client_gone"], 1)


async def test_a_request_that_is_cancelled_ends_the_call() -> None:
    client = Client(FakeExchange(WORD, 3600.0))
    reading = asyncio.create_task(client.read())
    await until(lambda: WORD in client.body)
    reading.cancel()
    await asyncio.wait([reading])
    assert (client.ends, client.exchange.closed) == (["client_gone"], 1)
