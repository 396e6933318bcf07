"""What the gateway decides about a request's body before any engine sees it. Pure.

It does not know OpenAI's schema: it looks at the fields it governs and leaves the rest, with its
types and defaults, to vLLM's own models in the replica.
"""

from collections.abc import Mapping
from typing import Any

import orjson

from serve_app.errors import InvalidRequest
from serve_app.gateway.schemas import refers_to_itself
from serve_app.settings import GatewaySettings

Body = dict[str, Any]

OURS = ("cache_salt", "priority", "request_id", "data_parallel_rank", "model")
"""Fields a client's value of which is dropped: the gateway or the replica sets them."""

REFUSED = {
    "chat_template": "chat templates come with the model",
    "ec_transfer_params": "it is internal",
    "kv_transfer_params": "it is internal",
    "media_io_kwargs": "only text is served",
    "mm_processor_kwargs": "only text is served",
    "prompt_embeds": "send text or tokens",
    "previous_response_id": "responses are not stored; send the whole conversation",
    "vllm_xargs": "it is internal",
}
TEXT_PARTS = ("text", "input_text", "output_text", "refusal")
PART_FIELDS = frozenset({"type", "text", "refusal", "annotations", "logprobs", "cache_control"})
TEMPLATE_KWARGS = frozenset({"enable_thinking", "thinking", "reasoning_effort"})
COUNTS = ("n", "best_of", "max_tokens", "max_completion_tokens", "max_output_tokens")
LOGPROBS = ("logprobs", "top_logprobs", "prompt_logprobs")
PROMPTS = ("messages", "prompt", "input", "instructions")
CHARS_A_TOKEN = 4
"""Of English text, in OpenAI's own rule of thumb; routing needs no better."""
DEEPEST = 254
"""Levels of objects and lists that orjson writes: what recurses into a body has room for these."""
GRAMMARS = ("structured_outputs", "response_format", "text", "tools", "tool_choice")


def parse(raw: bytes) -> Body:
    """The request's JSON object.

    Raises:
        InvalidRequest: not JSON, not an object, or nested deeper than ``DEEPEST``.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"The body is not valid JSON: {error}", code="invalid_json") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be a JSON object.", code="invalid_json")
    if _is_deep(raw, body):
        raise InvalidRequest(f"The body is nested deeper than {DEEPEST} levels.")
    return body


def _is_deep(raw: bytes, body: Body) -> bool:
    """Whether orjson, which reads 1024 levels, would not write it. Most bodies have fewer brackets
    than that in all."""
    if raw.count(b"{") + raw.count(b"[") <= DEEPEST:
        return False
    try:
        orjson.dumps(body)
    except orjson.JSONEncodeError:
        return True
    return False


def model_of(body: Body) -> str | None:
    """The ``model`` a client asks for, None if it names none."""
    model = body.get("model")
    if model is not None and not isinstance(model, str):
        raise InvalidRequest("model must be a string.", param="model")
    return model


def prompt_chars(body: Body) -> int:
    """Characters of text in the prompt, a token id counting as a token's: routing reckons by it."""
    return sum(_chars(body.get(field)) for field in PROMPTS)


def _chars(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, list):
        in_tokens = bool(value) and isinstance(value[0], int)
        return CHARS_A_TOKEN * len(value) if in_tokens else sum(map(_chars, value))
    if isinstance(value, dict):
        return sum(map(_chars, value.values()))
    return CHARS_A_TOKEN if isinstance(value, int) else 0


def wants_stream(body: Body) -> bool:
    """Whether the answer is to be streamed. Only a JSON boolean will do: vLLM would take more."""
    stream = body.get("stream")
    if stream is not None and not isinstance(stream, bool):
        raise InvalidRequest("stream must be true or false.", param="stream")
    return bool(stream)


def govern(body: Body, limits: GatewaySettings, *, adapter: bool, cache_salt: str | None) -> Body:
    """The body a replica may have: within limits, without what is ours to set.

    Args:
        adapter: whether an adapter answers, not the base.
        cache_salt: the tenant's, for operations that have a prefix cache.

    Raises:
        InvalidRequest: naming the field.
    """
    _refuse_fields(body)
    _cap_counts(body, limits)
    _cap_logprobs(body, limits)
    _cap_lists(body, limits)
    _cap_grammars(body, limits)
    _text_only(body)
    if adapter:
        _no_prompt_logprobs(body)
    governed = {key: value for key, value in body.items() if key not in OURS}
    if cache_salt is not None:
        governed["cache_salt"] = cache_salt
    return governed


def _refuse_fields(body: Body) -> None:
    for field, reason in REFUSED.items():
        if body.get(field) is not None:
            raise InvalidRequest(f"{field} is not accepted: {reason}.", param=field)
    if body.get("background"):
        raise InvalidRequest("background is not accepted.", param="background")
    kwargs = body.get("chat_template_kwargs")
    if kwargs is not None and not (
        isinstance(kwargs, Mapping) and kwargs.keys() <= TEMPLATE_KWARGS
    ):
        allowed = ", ".join(sorted(TEMPLATE_KWARGS))
        raise InvalidRequest(
            f"chat_template_kwargs takes only {allowed}.", param="chat_template_kwargs"
        )


def _cap_counts(body: Body, limits: GatewaySettings) -> None:
    for field in COUNTS:
        value = body.get(field)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise InvalidRequest(f"{field} must be an integer.", param=field)
        cap = limits.max_n if field in ("n", "best_of") else limits.max_tokens
        if not 1 <= value <= cap:
            raise InvalidRequest(f"{field} must be from 1 to {cap}, not {value}.", param=field)


def _cap_logprobs(body: Body, limits: GatewaySettings) -> None:
    for field in LOGPROBS:
        value = body.get(field)
        if value is None or isinstance(value, bool):
            continue
        if not isinstance(value, int) or not 0 <= value <= limits.max_logprobs:
            raise InvalidRequest(
                f"{field} must be an integer from 0 to {limits.max_logprobs}.", param=field
            )


def _cap_lists(body: Body, limits: GatewaySettings) -> None:
    for field, cap in (("stop", limits.max_stop), ("stop_token_ids", limits.max_stop)):
        value = body.get(field)
        if isinstance(value, list) and len(value) > cap:
            raise InvalidRequest(f"{field} takes at most {cap} entries.", param=field)
    for field in ("prompt", "input"):
        if _prompts(body.get(field)) > limits.max_prompts:
            raise InvalidRequest(
                f"{field} takes at most {limits.max_prompts} prompts.", param=field
            )


def _prompts(value: object) -> int:
    """How many prompts; a list of integers is one in tokens, one of objects a conversation."""
    if not isinstance(value, list) or not value or not isinstance(value[0], str | list):
        return 1
    return len(value)


def _cap_grammars(body: Body, limits: GatewaySettings) -> None:
    for field in GRAMMARS:
        value = body.get(field)
        if value is None:
            continue
        if len(orjson.dumps(value)) > limits.max_grammar_bytes:
            raise InvalidRequest(
                f"{field} is larger than {limits.max_grammar_bytes} bytes.", param=field
            )
        if field != "tools" and refers_to_itself(value):
            raise InvalidRequest(
                f"{field}: schemas that refer to themselves are not accepted.", param=field
            )
    structure = body.get("structured_outputs")
    if structure is not None and not isinstance(structure, dict):
        raise InvalidRequest("structured_outputs must be an object.", param="structured_outputs")


def _text_only(body: Body) -> None:
    """No part of a message may make the engine fetch a URL or decode a picture."""
    for field in ("messages", "input"):
        messages = body.get(field)
        for message in messages if isinstance(messages, list) else ():
            if not isinstance(message, dict):
                continue
            for parts in (message.get("content"), message.get("output")):
                for part in parts if isinstance(parts, list) else ():
                    _must_be_text(part, field)


def _must_be_text(part: object, field: str) -> None:
    if isinstance(part, str):
        return
    if isinstance(part, dict) and part.get("type") in TEXT_PARTS and part.keys() <= PART_FIELDS:
        return
    kind = part.get("type") if isinstance(part, dict) else type(part).__name__
    named = f" of type {kind[:64]!r}" if isinstance(kind, str) else ""
    raise InvalidRequest(
        f"Only text is served: a content part{named} is not accepted.", param=field
    )


def _no_prompt_logprobs(body: Body) -> None:
    """vLLM ends its engine over prompt logprobs of several prompts on an adapter."""
    if body.get("prompt_logprobs") is not None:
        raise InvalidRequest(
            "prompt_logprobs is not available on an adapter.", param="prompt_logprobs"
        )
    scored = any(body.get(field) is not None for field in LOGPROBS) or "messages" in body
    if body.get("echo") and scored:
        raise InvalidRequest("echo with logprobs is not available on an adapter.", param="echo")
