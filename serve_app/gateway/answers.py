"""Answers on the wire: whole ones, streams, and what we add to both."""

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from serve_app.errors import ApiError
from serve_app.gateway.exchange import Exchange
from serve_app.routing.messages import Reply

SSE_HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",
}
DONE = b"data: [DONE]\n\n"
KEEP_ALIVE = b": keep-alive\n\n"
_FINISH = b'"finish_reason":"'
_EVENT_END = b"}\n\n"

Metadata = Callable[[], dict[str, Any]]


def error_response(error: ApiError) -> Response:
    """An error before the first byte, in OpenAI's envelope."""
    return Response(orjson.dumps(error.envelope()), error.status, error.headers, "application/json")


def with_metadata(body: bytes, metadata: Mapping[str, Any]) -> bytes:
    """A JSON object's bytes with ``metadata`` as its last member.

    Answers of the Responses API have a member of that name, which is the client's, and keep it.
    """
    if b'"metadata":' in body and "metadata" in orjson.loads(body):
        return body
    return body.rstrip()[:-1] + b',"metadata":' + orjson.dumps(metadata) + b"}"


def with_stream_metadata(data: bytes, metadata: Metadata) -> bytes:
    """SSE events, of which those that finish a choice get ``metadata``.

    The mark cannot occur inside a string of the JSON: its quotes would be escaped there.
    """
    if _FINISH not in data:
        return data
    events = data.split(_EVENT_END)
    return _EVENT_END.join(
        event + b',"metadata":' + orjson.dumps(metadata()) if _FINISH in event else event
        for event in events
    )


def error_code(reply: Reply) -> str:
    """The ``error.code`` of a refusal."""
    return str(orjson.loads(reply.body)["error"]["code"])


class StreamedAnswer(Response):
    """Copies a call's output to the client as it comes, then ends the call.

    Args:
        exchange: the call, already under way.
        first: output that has arrived; empty if none has.
        metadata: what to say of the answer when it finishes.
        on_end: told, once, the code of what cut the stream short, None if it is complete.
    """

    def __init__(
        self,
        exchange: Exchange,
        first: bytes,
        headers: Mapping[str, str],
        keep_alive_s: float,
        metadata: Metadata,
        on_end: Callable[[str | None], None],
    ) -> None:
        super().__init__(headers={**SSE_HEADERS, **headers})
        del self.headers["content-length"]
        self._exchange = exchange
        self._first = first
        self._keep_alive_s = keep_alive_s
        self._metadata = metadata
        self._on_end = on_end

    async def __call__(self, _scope: Scope, _receive: Receive, send: Send) -> None:
        cut: str | None = "client_gone"
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            cut = await self._copy(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._exchange.close()
            self._on_end(cut)

    async def _copy(self, send: Send) -> str | None:
        data: bytes | None = self._first
        try:
            while data is not None:
                body = with_stream_metadata(data, self._metadata) if data else KEEP_ALIVE
                await send({"type": "http.response.body", "body": body, "more_body": True})
                data = await self._exchange.next(self._keep_alive_s)
        except ApiError as error:
            await self._send_error(send, orjson.dumps(error.envelope()))
            return error.code
        reply = self._exchange.reply
        if reply is not None and reply.status != 200:
            await self._send_error(send, reply.body)
            return error_code(reply)
        return reply.cut if reply is not None else None

    async def _send_error(self, send: Send, envelope: bytes) -> None:
        event = b"data: " + envelope + b"\n\n" + DONE
        await send({"type": "http.response.body", "body": event, "more_body": True})
