import copy
from typing import Any

import orjson
import pytest

from serve_app.errors import InvalidRequest
from serve_app.gateway.govern import govern, model_of, parse, wants_stream
from serve_app.settings import GatewaySettings

LIMITS = GatewaySettings(
    max_tokens=100,
    max_n=2,
    max_logprobs=5,
    max_stop=2,
    max_prompts=3,
    max_grammar_bytes=200,
)
SALT = "salt-of-the-tenant"


def _govern(body: dict[str, Any], adapter: bool = True) -> dict[str, Any]:
    return govern(body, LIMITS, adapter=adapter, cache_salt=SALT)


@pytest.mark.parametrize(
    "raw",
    [b"", b"{", b"[]", b'"text"', b"null", b"1", b'{"a":NaN}', b"{'a': 1}", b"\xff", b"[" * 10_000],
)
def test_a_body_must_be_a_json_object(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(raw)
    assert (refused.value.status, refused.value.code) == (400, "invalid_json")


def test_a_json_object_is_taken_as_it_is() -> None:
    assert parse(b' {"model": "base", "n": 1} ') == {"model": "base", "n": 1}


@pytest.mark.parametrize(
    ("body", "model"), [({}, None), ({"model": None}, None), ({"model": "base@a"}, "base@a")]
)
def test_the_model_asked_for(body: dict[str, Any], model: str | None) -> None:
    assert model_of(body) == model


@pytest.mark.parametrize("model", [1, True, ["base"], {"base": 1}])
def test_a_model_is_named_in_text(model: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        model_of({"model": model})
    assert refused.value.param == "model"


@pytest.mark.parametrize(
    ("body", "stream"),
    [({}, False), ({"stream": None}, False), ({"stream": False}, False), ({"stream": True}, True)],
)
def test_whether_a_stream_is_asked_for(body: dict[str, Any], stream: bool) -> None:
    assert wants_stream(body) is stream


@pytest.mark.parametrize("stream", [1, 0, "true", "false", [], {}])
def test_only_a_boolean_asks_for_a_stream(stream: object) -> None:
    with pytest.raises(InvalidRequest) as refused:
        wants_stream({"stream": stream})
    assert refused.value.param == "stream"


def _parts(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(parts)}]}


URL = "http://169.254.169.254/latest"
SCHEMA = {"type": "json_schema", "json_schema": {"schema": {"type": "string"}}}

REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "a chat template": ({"chat_template": "{{ x }}"}, "chat_template"),
    "an empty chat template": ({"chat_template": ""}, "chat_template"),
    "template arguments of its own": (
        {"chat_template_kwargs": {"chat_template": "x"}},
        "chat_template_kwargs",
    ),
    "template arguments that are text": ({"chat_template_kwargs": "x"}, "chat_template_kwargs"),
    "work in the background": ({"background": True}, "background"),
    "too many choices": ({"n": 3}, "n"),
    "too many beams": ({"best_of": 3}, "best_of"),
    "no choices": ({"n": 0}, "n"),
    "a negative number of tokens": ({"max_tokens": -1}, "max_tokens"),
    "too many tokens": ({"max_tokens": 101}, "max_tokens"),
    "too many completion tokens": ({"max_completion_tokens": 101}, "max_completion_tokens"),
    "too many output tokens": ({"max_output_tokens": 101}, "max_output_tokens"),
    "tokens in words": ({"max_tokens": "100"}, "max_tokens"),
    "tokens as a truth": ({"max_tokens": True}, "max_tokens"),
    "half a token": ({"max_tokens": 1.5}, "max_tokens"),
    "too many log probabilities": ({"logprobs": 6}, "logprobs"),
    "too many top log probabilities": ({"logprobs": True, "top_logprobs": 6}, "top_logprobs"),
    "all log probabilities": ({"top_logprobs": -1}, "top_logprobs"),
    "log probabilities in words": ({"logprobs": "5"}, "logprobs"),
    "too many stops": ({"stop": ["a", "b", "c"]}, "stop"),
    "too many stop tokens": ({"stop_token_ids": [1, 2, 3]}, "stop_token_ids"),
    "too many prompts": ({"prompt": ["a"] * 4}, "prompt"),
    "too many prompts in tokens": ({"prompt": [[1]] * 4}, "prompt"),
    "too many inputs": ({"input": ["a"] * 4}, "input"),
    "a large schema": (
        {"response_format": {"type": "json_schema", "x": "y" * 200}},
        "response_format",
    ),
    "many choices to choose from": (
        {"structured_outputs": {"choice": ["x"] * 100}},
        "structured_outputs",
    ),
    "a structure that is text": ({"structured_outputs": "x" * 1000}, "structured_outputs"),
    "many tools": ({"tools": [{"function": {"name": "f" * 20}}] * 10}, "tools"),
    "a schema that refers to itself": (
        {"structured_outputs": {"json": {"$ref": "#"}}},
        "structured_outputs",
    ),
    "a reference in disguise": (
        orjson.loads(b'{"response_format": {"\\u0024ref": "#"}}'),
        "response_format",
    ),
    "a picture": (_parts({"type": "image_url", "image_url": {"url": URL}}), "messages"),
    "a picture after text": (
        _parts({"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"url": URL}}),
        "messages",
    ),
    "a picture without a type": (_parts({"image_url": URL}), "messages"),
    "a picture that says it is text": (
        _parts({"type": "text", "text": "x", "uuid": "1", "image_url": URL}),
        "messages",
    ),
    "a type that only contains text": (
        _parts({"type": "text_video", "video_url": URL}),
        "messages",
    ),
    "sound": (_parts({"type": "input_audio", "input_audio": {}}), "messages"),
    "embeddings": (_parts({"type": "prompt_embeds", "data": ""}), "messages"),
    "a part that is a number": (
        {"messages": [{"role": "user", "content": [1]}]},
        "messages",
    ),
    "a picture in a response's input": (
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": URL}]}]},
        "input",
    ),
    "a picture as a tool's output": (
        {
            "input": [
                {
                    "type": "function_call_output",
                    "call_id": "1",
                    "output": [{"type": "input_image", "image_url": URL}],
                }
            ]
        },
        "input",
    ),
}


@pytest.mark.parametrize(("body", "param"), REFUSALS.values(), ids=REFUSALS)
def test_a_request_is_refused_by_the_field_for(body: dict[str, Any], param: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        _govern(body, adapter=False)
    assert (refused.value.status, refused.value.param) == (400, param)


PASSED: dict[str, dict[str, Any]] = {
    "a plain chat": {"messages": [{"role": "user", "content": "hello"}], "temperature": 0.5},
    "text in parts": _parts({"type": "text", "text": "a"}, {"type": "input_text", "text": "b"}),
    "an answer of before": {
        "input": [{"role": "assistant", "content": [{"type": "output_text", "text": "a"}]}]
    },
    "a refusal of before": _parts({"type": "refusal", "refusal": "no"}),
    "a message without content": {"messages": [{"role": "assistant", "content": None}]},
    "what vLLM has to judge": {"messages": "hello", "temperature": "hot", "unheard_of": [1]},
    "the most of everything": {
        "n": 2,
        "max_tokens": 100,
        "logprobs": 5,
        "stop": ["a", "b"],
        "prompt": ["a", "b", "c"],
    },
    "one prompt in many tokens": {"prompt": list(range(1000))},
    "one stop": {"stop": "a"},
    "a switch for log probabilities": {"logprobs": True, "top_logprobs": 0},
    "what a template may be told": {"chat_template_kwargs": {"enable_thinking": False}},
    "a small schema": {"response_format": SCHEMA},
    "a tool with a reference": {"tools": [{"function": {"parameters": {"$ref": "#/$defs/a"}}}]},
    "fields that say nothing": {"n": None, "max_tokens": None, "stop": None, "logprobs": None},
}


@pytest.mark.parametrize("body", PASSED.values(), ids=PASSED)
def test_a_request_passes_unchanged_but_for_its_salt_with(body: dict[str, Any]) -> None:
    before = copy.deepcopy(body)
    assert _govern(body, adapter=False) == before | {"cache_salt": SALT}
    assert body == before, "the client's own body is left alone"
