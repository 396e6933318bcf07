"""What vLLM answers, as bytes and usage. Knows vLLM's objects by their attributes only."""

from collections.abc import AsyncGenerator
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from starlette.requests import Request

from serve_app.engine.tally import Tally
from serve_app.routing.messages import Usage


class Events:
    """A stream of vLLM's as bytes, and its usage: so far, and as vLLM has it when it is over."""

    def __init__(self, answer: AsyncGenerator[Any, None], http: Request, tally: Tally) -> None:
        self._http = http
        self._tally = tally
        self._response: Any = None
        self.events: AsyncGenerator[bytes, None] = self._as_bytes(answer)

    @property
    def usage(self) -> Usage:
        final = self._final()
        so_far = self._tally.usage
        return so_far if final is None else replace(usage_of(final), finish=so_far.finish)

    def _final(self) -> Any:
        if self._response is not None:
            return self._response.usage
        metadata = getattr(self._http.state, "request_metadata", None)
        return getattr(metadata, "final_usage_info", None)

    async def _as_bytes(self, answer: AsyncGenerator[Any, None]) -> AsyncGenerator[bytes, None]:
        try:
            async for event in answer:
                if isinstance(event, str):
                    yield event.encode()
                else:
                    self._response = getattr(event, "response", None)
                    yield _typed_event(event)
        finally:
            await answer.aclose()


def _typed_event(event: BaseModel) -> bytes:
    """An event of the Responses API, which names its type."""
    kind = getattr(event, "type", "unknown")
    return f"event: {kind}\ndata: {event.model_dump_json(by_alias=True)}\n\n".encode()


def usage_of(usage: Any) -> Usage:
    """Tokens as chat and completions (prompt, completion) or responses (input, output) count."""
    if usage is None:
        return Usage()
    prompt = getattr(usage, "prompt_tokens", None) or getattr(usage, "input_tokens", None)
    completion = getattr(usage, "completion_tokens", None) or getattr(usage, "output_tokens", None)
    return Usage(prompt or 0, completion or 0, _cached(usage) or 0)


def _cached(usage: Any) -> int | None:
    for field in ("prompt_tokens_details", "input_tokens_details"):
        details = getattr(usage, field, None)
        if details is not None:
            return getattr(details, "cached_tokens", None)
    return None
