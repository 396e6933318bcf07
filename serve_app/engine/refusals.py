"""Errors of the engine, turned into OpenAI's envelope. Pure.

vLLM's own errors carry an integer code; its 5xx messages may tell of internals and are replaced.
"""

import json
from typing import Any

from serve_app.errors import INVALID_REQUEST, ApiError, Refused, ReplicaLost, envelope
from serve_app.routing.messages import Reply

_ERROR_EVENT = b'data: {"error"'
_CODES = {400: "invalid_value", 404: "model_not_found", 422: "invalid_value", 501: "not_supported"}


def from_vllm(error: dict[str, Any]) -> ApiError:
    """vLLM's ``{"message", "type", "param", "code"}`` as one of ours."""
    code = error.get("code")
    status = code if isinstance(code, int) and 400 <= code < 600 else 500
    safe = status < 500 or status == 501
    return Refused(
        status,
        {
            "message": error["message"] if safe else "The engine failed on this request.",
            "type": INVALID_REQUEST if safe else "server_error",
            "param": error.get("param"),
            "code": _CODES.get(status, "invalid_value" if safe else "engine_error"),
        },
    )


def refused(error: ApiError) -> Reply:
    """An error as the whole answer. Another replica may do better when this one is lost."""
    return Reply(
        error.status,
        json.dumps(error.envelope()).encode(),
        retryable=isinstance(error, ReplicaLost),
        headers=dict(error.headers),
    )


def is_error_event(event: bytes) -> bool:
    return event.startswith(_ERROR_EVENT)


def error_in(event: bytes) -> ApiError:
    """The error that an SSE error event of vLLM's carries."""
    return from_vllm(json.loads(event.removeprefix(b"data: "))["error"])


def error_event(error: ApiError) -> bytes:
    """An error after the first byte, as an SSE event."""
    body = envelope(error.message, type_=error.type, param=error.param, code=error.code)
    return b"data: " + json.dumps(body).encode() + b"\n\n"
