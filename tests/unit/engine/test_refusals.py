import json
from typing import Any

import pytest

from serve_app.engine.refusals import (
    error_event,
    error_in,
    from_vllm,
    is_error_event,
    refused,
)
from serve_app.errors import (
    AdapterLoading,
    AdapterRefused,
    ApiError,
    InvalidRequest,
    NoAdapterConfigured,
    Overloaded,
    ReplicaLost,
)

SECRET = "Traceback: /opt/vllm/engine.py in step"


def _error(code: Any, **more: Any) -> dict[str, Any]:
    return {"message": SECRET, "type": "BadRequestError", "param": None, "code": code} | more


TRANSLATED = {
    "a bad request": (400, 400, "invalid_value", True),
    "an unknown model": (404, 404, "model_not_found", True),
    "a value it cannot process": (422, 422, "invalid_value", True),
    "another client error": (409, 409, "invalid_value", True),
    "what it does not do": (501, 501, "not_supported", True),
    "a failure": (500, 500, "engine_error", False),
    "an overload": (503, 503, "engine_error", False),
    "a code in words": ("BadRequest", 500, "engine_error", False),
    "no code": (None, 500, "engine_error", False),
    "a code out of range": (200, 500, "engine_error", False),
}


@pytest.mark.parametrize(("said", "status", "code", "shown"), TRANSLATED.values(), ids=TRANSLATED)
def test_vllm_s_error_becomes_ours_for(said: Any, status: int, code: str, shown: bool) -> None:
    error = from_vllm(_error(said))
    assert (error.status, error.code) == (status, code)
    assert (SECRET in json.dumps(error.envelope())) is shown
    assert (error.type == "invalid_request_error") is shown


def test_the_field_vllm_blames_is_passed_on() -> None:
    assert from_vllm(_error(400, param="top_p")).param == "top_p"


@pytest.mark.parametrize(
    ("error", "retryable"),
    [
        (ReplicaLost("x"), True),
        (AdapterLoading("x"), False),
        (Overloaded("x"), False),
        (AdapterRefused("x"), False),
        (InvalidRequest("x"), False),
        (ApiError("x"), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_only_what_another_replica_may_do_better_is_worth_a_retry(
    error: ApiError, retryable: bool
) -> None:
    reply = refused(error)
    assert reply.status == error.status
    assert json.loads(reply.body) == error.envelope()
    assert reply.retryable is retryable
    assert not reply.streamed


def test_a_refusal_keeps_its_headers_to_itself() -> None:
    error = Overloaded("x", retry_after_s=3)
    reply = refused(error)
    assert reply.headers == {"Retry-After": "3"}
    error.headers.clear()
    assert reply.headers == {"Retry-After": "3"}


def _vllm_event(error: dict[str, Any]) -> bytes:
    """As vLLM 0.32 writes it."""
    return f"data: {json.dumps({'error': error})}\n\n".encode()


def test_an_error_in_a_stream_is_recognised_and_read() -> None:
    event = _vllm_event(_error(400, param="prompt"))
    assert is_error_event(event)
    error = error_in(event)
    assert (error.status, error.param, error.message) == (400, "prompt", SECRET)


@pytest.mark.parametrize(
    "event",
    [
        b"data: [DONE]\n\n",
        b'data: {"id":"1","choices":[{"text":"data: {\\"error\\""}]}\n\n',
        b'event: error\ndata: {"error": 1}\n\n',
        b": keep-alive\n\n",
        b"",
    ],
)
def test_other_events_are_no_errors(event: bytes) -> None:
    assert not is_error_event(event)


@pytest.mark.parametrize("error", [InvalidRequest("a\n\nb", param="x"), NoAdapterConfigured()])
def test_our_own_error_event_is_one_event_in_the_envelope(error: ApiError) -> None:
    event = error_event(error)
    assert event.startswith(b"data: ")
    assert event.endswith(b"\n\n")
    assert event.count(b"\n") == 2
    assert json.loads(event.removeprefix(b"data: ")) == error.envelope()
    assert is_error_event(event)
