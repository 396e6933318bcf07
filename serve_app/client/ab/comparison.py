"""One prompt, two answers, and which was judged the better. Pure."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from serve_app.client.metrics import StreamMetrics


class Winner(StrEnum):
    A = "lora_a"
    B = "lora_b"
    TIE = "tie"


@dataclass(frozen=True, slots=True)
class Judgement:
    """Which answer was the better.

    Attributes:
        reason: why, in a few words.
    """

    winner: Winner
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Reply:
    """What one adapter answered. Times are in seconds, as in ``StreamMetrics``.

    Attributes:
        name: the adapter as it was asked for.
        response: its text; None if there is none.
        error: why there is none.
        adapter: name and digest of the version that answered.
    """

    name: str
    response: str | None = None
    error: str | None = None
    adapter: str | None = None
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    time_to_first_token_s: float | None = None
    tokens_per_s: float | None = None
    latency_s: float | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two adapters on one prompt.

    Attributes:
        asked_at: when, in UTC, as ISO 8601.
        params: what both were asked with, beside the messages.
        judgement: None if nobody judged, or there was nothing to judge.
        judge_error: why the judge gave none.
    """

    prompt: str
    lora_a: Reply
    lora_b: Reply
    system_prompt: str | None
    params: Mapping[str, Any]
    asked_at: str
    judgement: Judgement | None = None
    judge_error: str | None = None

    def as_json(self) -> dict[str, Any]:
        """What JSON has of it."""
        return asdict(self)


def reply(name: str, text: str, metrics: StreamMetrics) -> Reply:
    """What an adapter answered and how fast."""
    usage = metrics.usage
    return Reply(
        name=name,
        response=text,
        adapter=metrics.adapter,
        finish_reason=metrics.finish_reason,
        prompt_tokens=usage.prompt_tokens if usage else None,
        completion_tokens=usage.completion_tokens if usage else None,
        time_to_first_token_s=metrics.time_to_first_token_s,
        tokens_per_s=metrics.tokens_per_s,
        latency_s=metrics.latency_s,
        request_id=metrics.request_id,
    )
