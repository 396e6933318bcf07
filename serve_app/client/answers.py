"""Chats as they are asked for, and their answers as they are read. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from openai.types import CompletionUsage
from openai.types.chat import ChatCompletion, ChatCompletionMessageParam

Messages = str | Iterable[ChatCompletionMessageParam]
"""A conversation; a text is one of a single message, the user's."""

ADAPTER, REPLICA, PLACEMENT = "x-serve-adapter", "x-serve-replica", "x-serve-placement"
REQUEST_ID = "x-request-id"
EXPERIMENT, ARM = "x-serve-experiment", "x-serve-arm"


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """Tokens of one request.

    Attributes:
        cached_tokens: those of the prompt that were in the engine's cache; None if it is not told.
    """

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """What an answer's headers say of where it comes from; None is what they do not say.

    Attributes:
        adapter: name and digest of the version that answered; ``base`` for the base.
        placement: why that replica.
        experiment, arm: which arm of which experiment answered, if ``model`` named one.
    """

    adapter: str | None
    replica: str | None
    placement: str | None
    request_id: str | None
    experiment: str | None = None
    arm: str | None = None


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """A whole answer.

    Attributes:
        content: the first choice's text; empty if there is none.
        latency_s: seconds from sending the request to having the answer, retries included.
        adapter, replica, placement, request_id, experiment, arm: as in ``Origin``.
        completion: the same as the openai package has it, with all that is not named here.
    """

    content: str
    finish_reason: str | None
    usage: TokenUsage | None
    latency_s: float
    model: str
    adapter: str | None
    replica: str | None
    placement: str | None
    request_id: str | None
    completion: ChatCompletion = field(repr=False)
    experiment: str | None = None
    arm: str | None = None


def chat_request(
    lora_name: str, messages: Messages, params: Mapping[str, Any], *, stream: bool = False
) -> dict[str, Any]:
    """The arguments of ``chat.completions.create``.

    Raises:
        ValueError: ``params`` has what would change the kind of the answer.
    """
    if "stream" in params:
        raise ValueError("chat() answers as a whole, stream() in deltas: leave `stream` out")
    if stream and params.get("n", 1) != 1:
        raise ValueError("a stream of text is of one choice: leave `n` out")
    said = [{"role": "user", "content": messages}] if isinstance(messages, str) else [*messages]
    request = {"model": lora_name, "messages": said, **params}
    if stream:
        options = {"include_usage": True} | dict(params.get("stream_options") or {})
        request |= {"stream": True, "stream_options": options}
    return request


def chat_answer(
    completion: ChatCompletion, headers: Mapping[str, str], latency_s: float
) -> ChatAnswer:
    """The answer that came after ``latency_s`` with ``headers``."""
    choice = completion.choices[0] if completion.choices else None
    return ChatAnswer(
        content=(choice.message.content if choice else None) or "",
        finish_reason=choice.finish_reason if choice else None,
        usage=usage_of(completion.usage),
        latency_s=latency_s,
        model=completion.model,
        completion=completion,
        **asdict(origin_of(headers)),
    )


def origin_of(headers: Mapping[str, str]) -> Origin:
    """Where the answer with ``headers`` comes from."""
    names = (ADAPTER, REPLICA, PLACEMENT, REQUEST_ID, EXPERIMENT, ARM)
    return Origin(*map(headers.get, names))


def usage_of(usage: CompletionUsage | None) -> TokenUsage | None:
    """The tokens an answer says it took."""
    if usage is None:
        return None
    details = usage.prompt_tokens_details
    return TokenUsage(
        usage.prompt_tokens,
        usage.completion_tokens,
        usage.total_tokens,
        details.cached_tokens if details else None,
    )
