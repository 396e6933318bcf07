"""Both clients: what they ask of an application and what they make of its answers."""

import inspect
from collections.abc import Callable
from typing import Any

import httpx
import openai
import pytest

from serve_app.client import AsyncLoraClient, Lora, LoraClient, TokenUsage, UnknownAnswer
from tests.unit.client.wire import (
    KEY,
    LORA,
    VERSION,
    Application,
    Ticks,
    a_refusal,
    a_stream,
    an_answer,
)

MESSAGES: Any = [{"role": "user", "content": "How was the quarter?"}]
REGISTER = {"lora_name": "new", "lora_path": "/adapters/new", "wait": True}

ASKED: dict[str, tuple[str, tuple[Any, ...], dict[str, Any], tuple[str, str, Any]]] = {
    "one adapter": ("lora", ("a/../b",), {}, ("GET", "/v1/lora/a%2F..%2Fb", None)),
    "registering": (
        *("register_lora", ("new", "/adapters/new"), {}),
        ("POST", "/v1/lora/register", REGISTER),
    ),
    "registering with everything": (
        "register_lora",
        ("new", "/adapters/new"),
        {"owner": "acme", "grants": ["x"], "labels": {"a": "b"}, "pin": False, "wait": False},
        (
            *("POST", "/v1/lora/register"),
            REGISTER
            | {"owner": "acme", "grants": ["x"], "labels": {"a": "b"}, "pin": False, "wait": False},
        ),
    ),
    "removing": ("unregister_lora", ("finance",), {}, ("DELETE", "/v1/lora/finance", None)),
    "rolling back": ("rollback", ("finance",), {}, ("POST", "/v1/lora/finance/rollback", None)),
    "rolling back to": (
        *("rollback", ("finance", 1), {}),
        ("POST", "/v1/lora/finance/rollback", {"version": 1}),
    ),
    "an alias": (
        *("set_alias", ("finance", "stable", "v2"), {}),
        ("PUT", "/v1/lora/finance/aliases/stable", {"version": "v2"}),
    ),
    "no alias any more": (
        *("remove_alias", ("finance", "stable"), {}),
        ("DELETE", "/v1/lora/finance/aliases/stable", None),
    ),
}


@pytest.mark.parametrize("case", ASKED)
async def test_the_application_is_asked_for(case: str) -> None:
    method, args, named, asked = ASKED[case]
    application = Application(httpx.Response(200, json=LORA), httpx.Response(200, json=LORA))
    found = getattr(application.client(), method)(*args, **named)
    also = await getattr(application.async_client(), method)(*args, **named)
    assert application.asked == [asked, asked]
    assert found == also == Lora.model_validate(LORA)
    assert {one["authorization"] for one in application.headers} == {f"Bearer {KEY}"}


async def test_a_chat_is_the_text_and_all_that_is_told_of_it() -> None:
    application = Application(an_answer(), an_answer())
    answer = application.client(Ticks(10.0, 12.5)).chat("finance", MESSAGES, max_tokens=9)
    assert (answer.content, answer.finish_reason) == ("up 4%", "stop")
    assert answer.usage == TokenUsage(7, 5, 12, cached_tokens=4)
    assert answer.latency_s == 2.5
    assert (answer.adapter, answer.replica) == ("finance@5533a83906f4", "r1")
    assert (answer.placement, answer.request_id) == ("resident", "req-1")
    assert answer.completion.choices[0].message.content == "up 4%"
    also = await application.async_client(Ticks(0.0, 2.5)).chat("finance", MESSAGES, max_tokens=9)
    assert also == answer
    body = {"model": "finance", "messages": MESSAGES, "max_tokens": 9}
    assert application.asked == [("POST", "/v1/chat/completions", body)] * 2


def test_a_text_is_a_conversation_of_one_message() -> None:
    application = Application(an_answer())
    application.client().chat("finance", "How was the quarter?")
    assert application.asked[0][2]["messages"] == MESSAGES


async def test_a_list_is_every_page_and_what_is_available_is_live() -> None:
    failed = LORA | {"id": "failed", "state": "failed", "version": None, "digest": None}
    pages = [
        {"object": "list", "data": [LORA], "has_more": True, "last_id": "finance"},
        {"object": "list", "data": [failed], "has_more": False, "last_id": "failed"},
    ]
    application = Application(*(httpx.Response(200, json=page) for page in pages * 3))
    assert [one.id for one in application.client().loras()] == ["finance", "failed"]
    assert [one.id for one in application.client().list_available_loras()] == ["finance"]
    also = await application.async_client().list_available_loras()
    assert [one.id for one in also] == ["finance"]
    paths = ["/v1/lora?limit=1000", "/v1/lora?limit=1000&after=finance"]
    assert [path for _, path, _ in application.asked] == paths * 3


async def test_versions_are_told_newest_first() -> None:
    body = {"object": "list", "data": [VERSION, VERSION | {"version": 1, "current": False}]}
    application = Application(httpx.Response(200, json=body), httpx.Response(200, json=body))
    found = application.client().versions("finance")
    assert [(one.version, one.current) for one in found] == [(2, True), (1, False)]
    assert await application.async_client().versions("finance") == found


def test_what_a_later_application_tells_beside_is_kept() -> None:
    application = Application(httpx.Response(200, json=LORA | {"of_a_later_version": 1}))
    assert application.client().lora("finance").model_dump()["of_a_later_version"] == 1


Answer = Callable[[], httpx.Response | Exception]
FAILURES: dict[str, tuple[Answer, type[Exception]]] = {
    "a wrong key": (lambda: a_refusal(401), openai.AuthenticationError),
    "a key that may not": (lambda: a_refusal(403), openai.PermissionDeniedError),
    "no such adapter": (lambda: a_refusal(404), openai.NotFoundError),
    "a bad adapter": (lambda: a_refusal(422), openai.UnprocessableEntityError),
    "control is away": (lambda: a_refusal(503), openai.InternalServerError),
    "nobody there": (lambda: httpx.ConnectError("refused"), openai.APIConnectionError),
    "another server": (lambda: httpx.Response(200, text="<html>"), UnknownAnswer),
    "another API": (lambda: httpx.Response(200, json={"object": "list"}), UnknownAnswer),
}


@pytest.mark.parametrize("case", FAILURES)
async def test_errors_are_of_the_openai_package_for(case: str) -> None:
    answer, error = FAILURES[case]
    assert issubclass(error, openai.OpenAIError)
    with pytest.raises(error):
        Application(answer()).client().lora("finance")
    with pytest.raises(error):
        await Application(answer()).async_client().lora("finance")


def test_everything_the_openai_client_can_do_still_works() -> None:
    models = {"object": "list", "data": [{"id": "x", "object": "model"}]}
    application = Application(httpx.Response(200, json=models), a_stream("a"))
    client = application.client()
    assert [model.id for model in client.openai.models.list()] == ["x"]
    with client.openai.chat.completions.stream(model="finance", messages=MESSAGES) as stream:
        assert stream.get_final_completion().choices[0].message.content == "a"


@pytest.mark.parametrize("url", ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"])
def test_the_url_may_be_given_with_v1_or_without(url: str) -> None:
    assert str(LoraClient(url, "sk").openai.base_url) == "http://h:1/v1/"


def test_the_key_is_the_applications_never_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-openai")
    monkeypatch.delenv("SERVE_APP_API_KEY", raising=False)
    with pytest.raises(openai.OpenAIError, match="SERVE_APP_API_KEY"):
        LoraClient()
    monkeypatch.setenv("SERVE_APP_API_KEY", "sk-ours")
    assert LoraClient().openai.api_key == "sk-ours"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_a_name_that_would_lead_elsewhere_is_not_asked_for(name: str) -> None:
    application = Application()
    with pytest.raises(ValueError, match="no name"):
        application.client().unregister_lora(name)
    assert application.asked == []


def test_what_would_change_the_kind_of_the_answer_is_refused() -> None:
    client = Application().client()
    with pytest.raises(ValueError, match="leave `stream` out"):
        client.chat("finance", "x", stream=True)
    with pytest.raises(ValueError, match="one choice"):
        client.stream("finance", "x", n=2)


def test_both_clients_can_do_the_same() -> None:
    assert _signatures(LoraClient) == _signatures(AsyncLoraClient)


def _signatures(client: type) -> dict[str, list[str]]:
    return {
        name: list(inspect.signature(method).parameters)
        for name, method in inspect.getmembers(client, inspect.isfunction)
        if not name.startswith("_")
    }
