"""The requests both sides are sent, and what their answers must say. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from serve_app.bench.derive import Target
from serve_app.bench.plan import Load

TAIL_BYTES = 4096
"""The end of a stream that is kept: its last events fit into it."""

_EVENT = b"data: "
_DONE = b"[DONE]"


class WrongAnswer(Exception):
    """A side did not do what was asked: its numbers would mean nothing."""


@dataclass(frozen=True)
class Prepared:
    """A request as it goes over the wire."""

    body: bytes
    headers: Mapping[str, str]


def prepare(load: Load, targets: list[Target], number: int) -> Prepared:
    """Request ``number`` of a load; its streams share the adapters evenly."""
    target = targets[number % len(targets)]
    body = {
        "model": target.adapter,
        "messages": [{"role": "user", "content": f"Question {number}: what is new today?"}],
        "max_tokens": load.tokens,
        "ignore_eos": True,
        "temperature": 0,
        "stream": load.streamed,
    }
    if load.streamed:
        body["stream_options"] = {"include_usage": True}
    headers = {"Authorization": f"Bearer {target.key}", "Content-Type": "application/json"}
    return Prepared(orjson.dumps(body), headers)


def is_output(chunk: bytes) -> bool:
    """Whether bytes of a stream hold an event, and not a comment that keeps it open."""
    return _EVENT in chunk


def streamed_tokens(tail: bytes) -> int:
    """Tokens generated, by the usage in a stream's last event. Events are not counted: one may
    hold several tokens.

    Raises:
        WrongAnswer: it did not end as a stream with usage does.
    """
    return whole_tokens(_usage_event(tail))


def all_tokens(tail: bytes) -> int:
    """The same with those of the prompt."""
    return int(orjson.loads(_usage_event(tail))["usage"]["total_tokens"])


def _usage_event(tail: bytes) -> bytes:
    events = [part for part in tail.split(b"\n\n") if part]
    if len(events) < 2 or events[-1] != _EVENT + _DONE:
        raise WrongAnswer(f"a stream ended with {tail[-200:]!r}")
    return events[-2].removeprefix(_EVENT)


def whole_tokens(body: bytes) -> int:
    """Tokens generated, by the usage in a JSON answer.

    Raises:
        WrongAnswer: it has none.
    """
    try:
        return int(orjson.loads(body)["usage"]["completion_tokens"])
    except (ValueError, KeyError, TypeError):
        raise WrongAnswer(f"no usage in {body[-200:]!r}") from None


def must_be(load: Load, tokens: int) -> None:
    """Every request generates what it asked for, or the sides did different work.

    Raises:
        WrongAnswer: they did.
    """
    if tokens != load.tokens:
        raise WrongAnswer(f"asked for {load.tokens} tokens, got {tokens}")
