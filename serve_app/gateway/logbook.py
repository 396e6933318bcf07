"""ASGI middleware: every request gets an id, and exactly one line in the log and the metrics."""

import re
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.gateway.answers import KEEP_ALIVE
from serve_app.telemetry import access_log
from serve_app.telemetry.access_log import CLIENT_GONE, Access
from serve_app.telemetry.gateway_metrics import GatewayMetrics

_CLIENT_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
UNLOGGED = frozenset({"/health", "/ready"})


class Logbook:
    """Puts into the request's state an ``Access``, for the routes to fill in, and ``held``, an exit
    stack for what is to be given back when the request is over, however it ends."""

    def __init__(
        self, app: ASGIApp, metrics: GatewayMetrics, note: Callable[[Access], None]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._note = note

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        given = _client_id(scope)
        access = Access(given or uuid.uuid4().hex, scope["path"], status=CLIENT_GONE)
        state = scope.setdefault("state", {})
        state["access"] = access
        try:
            with ExitStack() as state["held"]:
                await self._app(scope, receive, _noting(send, access, given is None))
        except Exception:
            if access.error is None:
                access.status, access.error = 500, "internal_error"
            raise
        finally:
            access.duration_s = time.monotonic() - began
            if access.path not in UNLOGGED:
                self._record(access)

    def _record(self, access: Access) -> None:
        access_log.write(access)
        self._note(access)
        self._metrics.answered(
            access.tenant,
            access.outcome,
            access.prompt_tokens,
            access.completion_tokens,
            access.cached_tokens,
            access.first_byte_s if access.status == 200 else None,
        )


def _noting(send: Send, access: Access, give_id: bool) -> Send:
    """``send``, writing down the status, and when the body began: a keep-alive is none of it."""
    began = time.monotonic()

    async def send_noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            access.status = message["status"]
            if give_id:
                MutableHeaders(scope=message)["x-request-id"] = access.request_id
        elif access.first_byte_s is None and message.get("body") != KEEP_ALIVE:
            access.first_byte_s = time.monotonic() - began
        await send(message)

    return send_noting


def _client_id(scope: Scope) -> str | None:
    """The id the request came with, if it is harmless.

    Serve gives every request an id that has none, and sends it back with the answer by itself.
    """
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _CLIENT_ID.fullmatch(value):
            return str(value, "ascii")
    return None
