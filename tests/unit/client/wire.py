"""What an application sends, as bytes on the wire, and clients that are sent it."""

import json
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import Any

import httpx

from serve_app.client import AsyncLoraClient, LoraClient
from serve_app.errors import envelope

URL, KEY = "http://application", "sk-acme"
HEADERS = {
    "x-serve-adapter": "finance@5533a83906f4",
    "x-serve-replica": "r1",
    "x-serve-placement": "resident",
    "x-request-id": "req-1",
}
USAGE = {
    "prompt_tokens": 7,
    "completion_tokens": 5,
    "total_tokens": 12,
    "prompt_tokens_details": {"cached_tokens": 4},
}
LORA = {
    "id": "finance",
    "object": "lora",
    "path": "/adapters/finance",
    "version": 2,
    "digest": "5533a83906f4" + "0" * 52,
    "state": "live",
    "owner": "acme",
    "grants": ["bare"],
    "description": "numbers",
    "labels": {"team": "x"},
    "aliases": {"stable": 1},
    "preload": False,
    "pin": False,
    "declared": False,
    "rank": 8,
    "size_bytes": 1_234_567,
    "created": 1_700_000_000,
    "updated": 1_700_000_001,
    "replicas": [{"replica": "r1", "version": 2, "state": "resident", "leases": 1, "load_s": 0.2}],
    "registration": None,
}
VERSION = {
    "id": "finance@5533a83906f4",
    "object": "lora.version",
    "adapter": "finance",
    "version": 2,
    "digest": LORA["digest"],
    "state": "live",
    "current": True,
    "aliases": [],
    "path": None,
    "rank": 8,
    "size_bytes": 1_234_567,
    "created": 1_700_000_000,
    "replicas": [],
}


class Application:
    """Answers as a test scripts it.

    Attributes:
        asked: method, path and body of every request.
    """

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []
        self.headers: list[httpx.Headers] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.raw_path.decode(), body))
        self.headers.append(request.headers)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def client(self, clock: Callable[[], float] = lambda: 0.0) -> LoraClient:
        http = httpx.Client(transport=httpx.MockTransport(self))
        return LoraClient(URL, KEY, clock=clock, max_retries=0, http_client=http)

    def async_client(self, clock: Callable[[], float] = lambda: 0.0) -> AsyncLoraClient:
        http = httpx.AsyncClient(transport=httpx.MockTransport(self))
        return AsyncLoraClient(URL, KEY, clock=clock, max_retries=0, http_client=http)


def an_answer(text: str = "up 4%", finish_reason: str = "stop") -> httpx.Response:
    """A whole answer to a chat."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": finish_reason,
    }
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "demo-llama@finance",
        "choices": [choice],
        "usage": USAGE,
    }
    return httpx.Response(200, json=body, headers=HEADERS)


def chunks(*texts: str, finish_reason: str | None = "stop", usage: bool = True) -> list[bytes]:
    """The events of a streamed answer: a role, each text, the end, the usage."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": text} for text in texts]
    events = [_chunk([{"index": 0, "delta": delta, "finish_reason": None}]) for delta in deltas]
    if finish_reason is not None:
        events.append(_chunk([{"index": 0, "delta": {}, "finish_reason": finish_reason}]))
    if usage:
        events.append(_chunk([], usage=USAGE))
    return [*events, b"data: [DONE]\n\n"]


class Events(httpx.SyncByteStream, httpx.AsyncByteStream):
    """The events of a stream, one after another; then, perhaps, the connection breaks.

    Attributes:
        closed: the client has let go of it.
    """

    def __init__(self, events: Iterable[bytes], ends_with: Exception | None = None) -> None:
        self._events = list(events)
        self._ends_with = ends_with
        self.closed = False

    def __iter__(self) -> Iterator[bytes]:
        yield from self._events
        if self._ends_with is not None:
            raise self._ends_with

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for event in self:
            yield event

    def close(self) -> None:
        self.closed = True

    async def aclose(self) -> None:
        self.closed = True


def a_stream(*texts: str, **of: Any) -> httpx.Response:
    """A streamed answer."""
    return streamed(Events(chunks(*texts, **of)))


def streamed(events: Events) -> httpx.Response:
    """An answer of those events."""
    headers = {"content-type": "text/event-stream", **HEADERS}
    return httpx.Response(200, stream=events, headers=headers)


def a_refusal(status: int, message: str = "the server's own words") -> httpx.Response:
    """An error in OpenAI's envelope."""
    body = envelope(message, type_="x", param=None, code="y")
    return httpx.Response(status, json=body, headers={"x-request-id": "req-2"})


class Ticks:
    """A clock that is told what it says."""

    def __init__(self, *times: float) -> None:
        self._times = iter(times)

    def __call__(self) -> float:
        return next(self._times)


def _chunk(choices: list[dict[str, Any]], **more: Any) -> bytes:
    body = {
        "id": "1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "demo-llama@finance",
        "choices": choices,
        **more,
    }
    return b"data: " + json.dumps(body).encode() + b"\n\n"
