"""What an application developer with the openai client is promised. Real Ray Serve, real vLLM."""

from typing import Any

import httpx
import openai
import pytest

from serve_app.demo.lexicon import QUESTIONS, who_answered
from tests.harness import RunningApp

pytestmark = pytest.mark.e2e

TENANTS = {
    "sk-acme-12345": ("tenant_acme_corp", "acme-finance-lora"),
    "sk-hospital-67890": ("tenant_hospital_abc", "medical-clinical-lora"),
    "sk-law-abcde": ("tenant_law_firm_xyz", "legal-contract-lora"),
    "sk-edu-fghij": ("tenant_edu_platform", "education-tutoring-lora"),
}
ACME = "sk-acme-12345"


def question(adapter: str) -> list[Any]:
    return [{"role": "user", "content": QUESTIONS[adapter][0]}]


@pytest.mark.parametrize("key", TENANTS)
def test_each_tenant_is_answered_by_its_own_adapter(app: RunningApp, key: str) -> None:
    tenant, adapter = TENANTS[key]
    answer = app.client(key).chat.completions.create(
        model="base", messages=question(adapter), max_tokens=40
    )
    assert who_answered(answer.choices[0].message.content or "") == {adapter}
    assert answer.model == f"demo-llama@{adapter}"
    metadata = answer.metadata
    assert metadata is not None
    assert (metadata["tenant"], metadata["lora_used"]) == (tenant, adapter)
    assert float(metadata["latency_s"]) > 0
    assert answer.usage is not None
    assert answer.usage.completion_tokens > 0


@pytest.mark.parametrize(
    "model",
    ["base", "demo-llama@acme-finance-lora", "demo-llama:acme-finance-lora", "acme-finance-lora"],
)
def test_all_spellings_of_a_model_mean_the_same_adapter(app: RunningApp, model: str) -> None:
    response = app.client(ACME).chat.completions.with_raw_response.create(
        model=model, messages=question("acme-finance-lora"), max_tokens=40
    )
    assert response.headers["x-serve-adapter"].startswith("acme-finance-lora@")
    assert response.headers["x-serve-placement"] in ("resident", "home", "cold", "spill")
    assert response.headers["x-serve-replica"]
    text = response.parse().choices[0].message.content
    assert who_answered(text or "") == {"acme-finance-lora"}


@pytest.mark.parametrize("key", TENANTS)
def test_a_stream_gives_the_text_of_the_whole_answer(app: RunningApp, key: str) -> None:
    ask: dict[str, Any] = {
        "model": "base",
        "messages": question(TENANTS[key][1]),
        "max_tokens": 40,
        "temperature": 0,
    }
    client = app.client(key)
    whole = client.chat.completions.create(**ask)
    chunks = list(
        client.chat.completions.create(**ask, stream=True, stream_options={"include_usage": True})
    )
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert chunks[-1].choices == []
    told, expected = chunks[-1].usage, whole.usage
    assert told is not None
    assert expected is not None
    assert told.prompt_tokens == expected.prompt_tokens
    assert told.completion_tokens == expected.completion_tokens
    finish = next(c for c in chunks if c.choices and c.choices[0].finish_reason)
    assert finish.model_extra["metadata"]["lora_used"] == TENANTS[key][1]


def test_completions_responses_and_the_tokenizer_work_on_an_adapter(app: RunningApp) -> None:
    client = app.client(ACME)
    completion = client.completions.create(model="base", prompt="The quarter", max_tokens=20)
    assert who_answered(completion.choices[0].text) == {"acme-finance-lora"}
    response = client.responses.create(model="base", input="The quarter?", max_output_tokens=30)
    assert who_answered(response.output_text) == {"acme-finance-lora"}
    tokens = app.post("/tokenize", ACME, json={"prompt": "hello there"}).json()["tokens"]
    text = app.post("/detokenize", ACME, json={"tokens": tokens}).json()["prompt"]
    assert text.endswith("hello there")


def test_an_operation_the_base_cannot_do_says_so(app: RunningApp) -> None:
    response = app.post("/v1/embeddings", ACME, json={"input": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (501, "not_supported")


def test_a_tenant_sees_only_its_own_models(app: RunningApp) -> None:
    client = app.client(ACME)
    assert [model.id for model in client.models.list()] == ["demo-llama@acme-finance-lora"]
    assert client.models.retrieve("acme-finance-lora").id == "demo-llama@acme-finance-lora"
    assert len(list(app.client("sk-admin-demo").models.list())) == 9


@pytest.mark.parametrize("key", ["sk-wrong", "x", "sk-acme-1234"])
def test_a_wrong_key_is_a_401(app: RunningApp, key: str) -> None:
    response = httpx.get(f"{app.url}/v1/models", headers={"Authorization": f"Bearer {key}"})
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Bearer")
    assert response.json()["error"]["code"] == "invalid_api_key"


def test_another_tenants_adapter_looks_exactly_like_an_unknown_one(app: RunningApp) -> None:
    def refusal(model: str) -> tuple[int, str]:
        body = {"model": model, "messages": [{"role": "user", "content": "x"}]}
        response = app.post("/v1/chat/completions", ACME, json=body)
        return response.status_code, response.text.replace(model, "MODEL")

    assert refusal("legal-contract-lora") == refusal("no-such-adapter-x00")
    assert refusal("legal-contract-lora")[0] == 404
    with pytest.raises(openai.NotFoundError, match="does not exist"):
        app.client(ACME).models.retrieve("legal-contract-lora")


HELLO = {"messages": [{"role": "user", "content": "x"}]}
PICTURE = {"type": "image_url", "image_url": {"url": "http://127.0.0.1:1/x.png"}}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "no messages": ({"model": "base"}, "messages"),
    "messages of a wrong type": ({"messages": "hello"}, "messages"),
    "temperature of a wrong type": ({**HELLO, "temperature": "hot"}, "temperature"),
    "huge n": ({**HELLO, "n": 100_000}, "n"),
    "huge max_tokens": ({**HELLO, "max_tokens": 100_000_000}, "max_tokens"),
    "max_tokens of a wrong type": ({**HELLO, "max_tokens": "many"}, "max_tokens"),
    "a model that is no string": ({**HELLO, "model": 5}, "model"),
    "a picture": ({"messages": [{"role": "user", "content": [PICTURE]}]}, "messages"),
    "bad top_logprobs on a stream": (
        {**HELLO, "stream": True, "logprobs": True, "top_logprobs": 5000},
        "top_logprobs",
    ),
    "stream options and no stream": (
        {**HELLO, "stream_options": {"include_usage": True}},
        "stream_options",
    ),
    "top_logprobs and no logprobs": ({**HELLO, "top_logprobs": 1}, "top_logprobs"),
    "a choice of no tools": ({**HELLO, "tool_choice": "auto"}, "tool_choice"),
    "a schema that is not there": (
        {**HELLO, "response_format": {"type": "json_schema"}},
        "response_format",
    ),
    "messages that cannot be counted": ({"messages": 5}, "None"),
    "a structure of nothing": ({**HELLO, "structured_outputs": {}}, "None"),
    "a template of the client's": ({**HELLO, "chat_template": "{{ 1 }}"}, "chat_template"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_field_is_a_400_that_names_it(app: RunningApp, case: str) -> None:
    body, param = BAD[case]
    response = app.post("/v1/chat/completions", ACME, json=body)
    assert response.status_code == 400, response.text
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).startswith(param)


@pytest.mark.parametrize("body", [b'{"model": "base", ', b"[]", b"", b"\xff"])
def test_what_is_no_json_object_is_a_400(app: RunningApp, body: bytes) -> None:
    response = app.post("/v1/chat/completions", ACME, content=body)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "invalid_json")


def test_a_long_prompt_is_refused_and_the_next_request_works(app: RunningApp) -> None:
    with pytest.raises(openai.BadRequestError):
        app.client(ACME).completions.create(model="base", prompt="word " * 5000, max_tokens=5)
    assert app.client(ACME).completions.create(model="base", prompt="x", max_tokens=5).choices


def test_admin_routes_are_closed_to_tenants(app: RunningApp) -> None:
    def status(key: str) -> int:
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.get(f"{app.url}/admin/v1/fleet", headers=headers).status_code

    assert [status(key) for key in ("sk-wrong", ACME, "sk-admin-demo")] == [401, 403, 200]
