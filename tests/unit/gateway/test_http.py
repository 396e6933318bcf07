"""What every route owes a client: who may ask, and how a refusal looks."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import httpx
import pytest

from serve_app import __version__
from serve_app.routing.messages import Call, Reply
from tests.unit.fake_gateway import ACME_KEY, BARE_KEY, CHAT, ROOT_KEY, Site, a_site, a_snapshot
from tests.unit.fakes import FakeReplicas

INFERENCE = [
    *("/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"),
    *("/tokenize", "/detokenize"),
]
REGISTERING = ["/v1/lora/register", "/v1/load_lora_adapter", "/v1/unload_lora_adapter"]
KEYED = [("POST", path) for path in (*INFERENCE, *REGISTERING)] + [
    ("GET", "/v1/models"),
    ("GET", "/v1/models/base@finance"),
    ("GET", "/admin/v1/fleet"),
    ("GET", "/admin/v1/audit"),
    ("GET", "/v1/lora"),
    ("GET", "/v1/lora/finance"),
    ("GET", "/v1/lora/finance/versions"),
    ("POST", "/v1/lora/finance/rollback"),
    ("PUT", "/v1/lora/finance/aliases/stable"),
    ("DELETE", "/v1/lora/finance/aliases/stable"),
    ("DELETE", "/v1/lora/finance"),
]
OPEN = ["/health", "/ready", "/version", "/docs", "/openapi.json"]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


def _error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    assert response.status_code == status
    assert response.headers["content-type"] == "application/json"
    assert response.headers["x-request-id"]
    error: dict[str, Any] = response.json()["error"]
    assert sorted(error) == ["code", "message", "param", "type"]
    assert error["code"] == code
    return error


@pytest.mark.parametrize(("method", "path"), KEYED)
@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer sk-nobody"}, {"authorization": ACME_KEY}],
    ids=["no key", "a key nobody holds", "no scheme"],
)
async def test_without_a_key_there_is_no_answer(
    site: Site, method: str, path: str, headers: dict[str, str]
) -> None:
    response = await site.client.request(method, path, headers=headers, content=b"{}")
    _error(response, 401, "invalid_api_key")
    assert response.headers["www-authenticate"] == "Bearer"
    assert site.replicas.calls == []


@pytest.mark.parametrize("path", OPEN)
async def test_some_pages_need_no_key(site: Site, path: str) -> None:
    response = await site.client.get(path)
    assert response.status_code == 200
    assert response.headers["x-request-id"]


async def test_the_document_of_the_api_names_every_route_that_needs_a_key(site: Site) -> None:
    document = (await site.client.get("/openapi.json")).json()
    secured = {
        path
        for path, methods in document["paths"].items()
        if any("security" in method for method in methods.values())
    }
    every = {path for path in document["paths"] if path not in OPEN}
    assert secured == every >= {*INFERENCE, "/v1/models", "/v1/lora", "/admin/v1/fleet"}
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


async def test_the_version_is_the_package_s(site: Site) -> None:
    assert (await site.client.get("/version")).json() == {"version": __version__}


async def test_a_gateway_is_alive_before_it_is_ready() -> None:
    async with a_site(FakeReplicas()) as site:
        assert (await site.client.get("/health")).status_code == 200
        ready = await site.client.get("/ready")
        assert (ready.status_code, ready.headers["retry-after"]) == (503, "2")


async def test_a_gateway_that_knows_no_tenants_is_not_ready(site: Site) -> None:
    site.gateway.registry.snapshot = None
    assert (await site.client.get("/ready")).status_code == 503
    response = await site.post(messages=[])
    _error(response, 503, "overloaded")
    assert response.headers["retry-after"]


UNSEEN = ["legal", "base@legal", "demo-llama:legal"]


@pytest.mark.parametrize("model", UNSEEN)
@pytest.mark.parametrize("path", INFERENCE)
async def test_a_forbidden_model_looks_like_an_unknown_one(
    site: Site, path: str, model: str
) -> None:
    forbidden = await site.post(path, model=model, headers={"x-request-id": "same"})
    site.gateway.registry.snapshot = a_snapshot("finance")
    unknown = await site.post(path, model=model, headers={"x-request-id": "same"})
    assert _error(forbidden, 404, "model_not_found")["param"] == "model"
    assert (forbidden.content, forbidden.headers) == (unknown.content, unknown.headers)


@pytest.mark.parametrize("model", UNSEEN)
async def test_a_forbidden_model_cannot_be_looked_up(site: Site, model: str) -> None:
    forbidden = await site.get(f"/v1/models/{model}")
    site.gateway.registry.snapshot = a_snapshot("finance")
    unknown = await site.get(f"/v1/models/{model}")
    _error(forbidden, 404, "model_not_found")
    assert forbidden.content == unknown.content


async def test_a_tenant_without_anything_is_told_so(site: Site) -> None:
    _error(await site.post(key=BARE_KEY), 404, "no_adapter_configured")


@pytest.mark.parametrize("path", INFERENCE)
async def test_a_body_that_is_no_json_is_a_bad_request(site: Site, path: str) -> None:
    response = await site.client.post(
        path, headers={"authorization": f"Bearer {ACME_KEY}"}, content=b"{'a': 1}"
    )
    _error(response, 400, "invalid_json")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"model": 1}, "model"),
        ({"stream": "yes"}, "stream"),
        ({"max_tokens": "many"}, "max_tokens"),
        ({"chat_template": "x"}, "chat_template"),
    ],
)
async def test_a_field_of_the_wrong_kind_is_named(
    site: Site, body: dict[str, Any], param: str
) -> None:
    assert _error(await site.post(**body), 400, "invalid_value")["param"] == param


async def test_a_page_that_does_not_exist_is_named(site: Site) -> None:
    error = _error(await site.get("/v1/unheard-of"), 404, "unknown_url")
    assert "/v1/unheard-of" in error["message"]


async def test_a_method_a_page_does_not_take_is_named(site: Site) -> None:
    response = await site.get(CHAT)
    _error(response, 405, "method_not_allowed")
    assert response.headers["allow"] == "POST"


async def test_no_other_site_s_pages_may_ask() -> None:
    async with a_site() as site:
        headers = {"origin": "http://evil", "access-control-request-method": "POST"}
        response = await site.client.options(CHAT, headers=headers)
        assert response.status_code == 405
        assert "access-control-allow-origin" not in response.headers


@pytest.mark.parametrize(
    ("headers", "most"),
    [({"content-length": "60000"}, 0), ({}, 2)],
    ids=["if it says that it is too large", "as soon as it is too large"],
)
async def test_a_body_is_not_read_any_further(headers: dict[str, str], most: int) -> None:
    read: list[int] = []

    async def body() -> AsyncIterator[bytes]:
        for number in range(1000):
            read.append(number)
            yield b"x" * 60

    async with a_site(max_body_bytes=100) as site:
        headers = {"authorization": f"Bearer {ACME_KEY}"} | headers
        response = await site.client.post(CHAT, headers=headers, content=body())
        _error(response, 413, "request_too_large")
        assert len(read) <= most


async def test_a_body_may_be_as_large_as_the_limit() -> None:
    async with a_site(max_body_bytes=100) as site:
        size = len(b'{"prompt":""}')
        assert (await site.post(prompt="x" * (100 - size))).status_code == 200
        assert (await site.post(prompt="x" * (101 - size))).status_code == 413


async def test_a_length_that_is_no_number_is_no_failure_of_the_server(site: Site) -> None:
    headers = {"authorization": f"Bearer {ACME_KEY}", "content-length": "\u00b2"}
    request = site.client.build_request("POST", CHAT, content=b"{}")
    request.headers = httpx.Headers([(k.encode(), v.encode("latin-1")) for k, v in headers.items()])
    assert (await site.client.send(request)).status_code < 500


async def test_a_failure_of_the_server_tells_nothing_of_it(site: Site) -> None:
    site.gateway.registry.snapshot = replace(a_snapshot(), catalog=None)  # type: ignore[arg-type]
    response = await site.post(messages=[])
    error = _error(response, 500, "internal_error")
    assert error["type"] == "server_error"
    assert "KeyError" not in response.text
    assert "acme" not in response.text


async def test_without_a_living_replica_a_client_is_told_when_to_come_back() -> None:
    async with a_site(FakeReplicas()) as site:
        response = await site.post(messages=[])
        _error(response, 503, "overloaded")
        assert response.headers["retry-after"]


@pytest.mark.parametrize("status", [400, 422, 503])
async def test_a_replica_s_refusal_is_the_answer(status: int) -> None:
    async def refuse(_call: Call, _replica: str) -> Reply:
        body = b'{"error":{"message":"m","type":"t","param":null,"code":"c"}}'
        return Reply(status, body, headers={"Retry-After": "7"})

    async with a_site(FakeReplicas("r1", answer=refuse)) as site:
        response = await site.post(messages=[])
        _error(response, status, "c")
        assert response.headers["retry-after"] == "7"
        assert "metadata" not in response.json()


@pytest.mark.parametrize(("key", "status"), [(ACME_KEY, 403), (BARE_KEY, 403), (ROOT_KEY, 200)])
async def test_only_an_admin_sees_the_fleet(site: Site, key: str, status: int) -> None:
    assert (await site.get("/admin/v1/fleet", key)).status_code == status


async def test_an_admin_sees_every_replica_with_what_it_told(site: Site) -> None:
    fleet = (await site.get("/admin/v1/fleet", ROOT_KEY)).json()
    assert fleet["gateway"] == site.gateway.id
    assert [(r["replica"], r["alive"], r["capacity"]) for r in fleet["replicas"]] == [
        ("r1", True, 4),
        ("r2", True, 4),
    ]
