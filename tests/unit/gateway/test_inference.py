"""One request's way through the gateway to a whole answer."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from serve_app.routing.messages import Call, Operation, Reply
from serve_app.routing.view import Costs
from serve_app.tenancy.keys import cache_salt
from tests.unit.fake_gateway import ACME_KEY, PEPPER, ROOT_KEY, Browser, Site, a_site
from tests.unit.fakes import FakeReplicas, a_version, news_of, until

ROUTES = {
    "/v1/chat/completions": Operation.CHAT,
    "/v1/completions": Operation.COMPLETION,
    "/v1/embeddings": Operation.EMBEDDING,
    "/v1/responses": Operation.RESPONSE,
    "/tokenize": Operation.TOKENIZE,
    "/detokenize": Operation.DETOKENIZE,
}
FINANCE, LEGAL = a_version("finance"), a_version("legal")


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


@pytest.mark.parametrize(("path", "operation"), ROUTES.items())
async def test_every_route_reaches_the_engine_as_its_operation(
    site: Site, path: str, operation: Operation
) -> None:
    response = await site.post(path, temperature=0.5, model="finance")
    (call,) = site.replicas.calls
    assert response.status_code == 200
    assert call.operation is operation
    assert call.version == FINANCE
    assert call.body["temperature"] == 0.5
    assert "model" not in call.body


@pytest.mark.parametrize(("path", "operation"), ROUTES.items())
async def test_the_cache_salt_is_the_tenant_s_whatever_a_client_says(
    site: Site, path: str, operation: Operation
) -> None:
    await site.post(path, cache_salt="guessed", priority=-1, request_id="x")
    (call,) = site.replicas.calls
    tokenizes = operation in (Operation.TOKENIZE, Operation.DETOKENIZE)
    assert call.body == ({} if tokenizes else {"cache_salt": cache_salt("acme", PEPPER)})


async def test_an_answer_says_who_gave_it_and_where(site: Site) -> None:
    response = await site.post(messages=[])
    body = response.json()
    assert body["object"] == "chat.completion"
    metadata = body["metadata"]
    assert (metadata["tenant"], metadata["lora_used"]) == ("acme", "finance")
    assert 0 <= metadata["latency_s"] < 5
    assert response.headers["x-serve-adapter"] == FINANCE.name
    assert response.headers["x-serve-replica"] == site.replicas.routed[0]
    assert response.headers["x-serve-placement"] == "home"
    assert response.headers["content-type"] == "application/json"


async def test_an_answer_of_the_base_says_so(site: Site) -> None:
    response = await site.post(key=ROOT_KEY, model="base")
    assert response.headers["x-serve-adapter"] == "base"
    assert response.json()["metadata"]["lora_used"] is None
    assert site.replicas.calls[0].version is None


@pytest.mark.parametrize(
    ("model", "version"), [("legal", LEGAL), ("base:finance", FINANCE), ("demo-llama", None)]
)
async def test_calls_for_one_adapter_share_a_routing_key(
    site: Site, model: str, version: object
) -> None:
    for _ in range(2):
        await site.post(key=ROOT_KEY, model=model)
    keys = [key for key in site.replicas.keys if not key.startswith(("bus:", "hello"))]
    assert set(keys) == {getattr(version, "name", "base")}


async def test_the_second_answer_comes_from_where_the_adapter_is(site: Site) -> None:
    await site.post()
    response = await site.post()
    assert response.headers["x-serve-placement"] == "resident"
    assert len(set(site.replicas.routed)) == 1


async def test_the_engine_hears_the_request_id_of_the_client(site: Site) -> None:
    await site.post(headers={"x-request-id": "mine-1"})
    assert site.replicas.calls[0].request_id == "mine-1"


async def test_an_embedding_is_never_streamed(site: Site) -> None:
    response = await site.post("/v1/embeddings", input="a", stream=True)
    assert response.headers["content-type"] == "application/json"


async def test_a_fleet_that_is_full_says_when_to_come_back() -> None:
    replicas = FakeReplicas("r1", "r2")
    replicas.news = news_of(others=5)
    async with a_site(replicas, max_outstanding_per_replica=5) as site:
        response = await site.post()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
        assert response.headers["retry-after"]
        assert replicas.calls == []


async def test_what_would_wait_too_long_everywhere_is_refused_with_when_to_come_again() -> None:
    replicas = FakeReplicas("r1", "r2")
    busy = replace(news_of(capacity=4, others=10), costs=Costs(seat_s=4.0))
    replicas.news = busy
    async with a_site(replicas, max_wait_s=2) as site:
        response = await site.post()
        assert (response.status_code, response.json()["error"]["code"]) == (503, "overloaded")
        assert response.headers["retry-after"] == "5", "7 s for a seat, 2 of which may be waited"
        assert replicas.calls == []
        assert site.metrics.relief == ["shed"]
    async with a_site(replicas, max_wait_s=8) as site:
        assert (await site.post()).status_code == 200


async def test_an_adapter_is_fetched_while_a_long_body_is_still_on_its_way() -> None:
    replicas = FakeReplicas("r1", "r2")
    async with a_site(replicas) as site:
        browser = Browser(site, {"model": "finance", "messages": ["long"] * 9}, pieces=3)
        await until(lambda: browser.head == 200)
        (call,) = replicas.calls
        assert replicas.fetched == [(FINANCE.name, replicas.routed[0])]
        assert site.metrics.relief == ["prefetched"]
        assert call.prompt_tokens == 9, "four characters of text each"
        browser = Browser(site, {"model": "legal", "messages": []}, ROOT_KEY)
        await until(lambda: browser.head == 200)
        assert len(replicas.fetched) == 1


async def test_a_hot_adapter_is_copied_in_the_background() -> None:
    hold = asyncio.Event()
    hold.set()

    async def held(_call: Call, _replica: str) -> Reply:
        await hold.wait()
        return Reply(200, b"{}")

    replicas = FakeReplicas("r1", "r2", answer=held)
    replicas.news = news_of(capacity=6)
    async with a_site(replicas) as site:
        await site.post()
        hold.clear()
        asking = [asyncio.create_task(site.post()) for _ in range(5)]
        await until(lambda: replicas.fetched)
        (home,) = set(replicas.routed)
        assert replicas.fetched == [(FINANCE.name, "r2" if home == "r1" else "r1")]
        assert site.metrics.relief == ["copied"]
        hold.set()
        assert {response.status_code for response in await asyncio.gather(*asking)} == {200}


async def test_an_early_fetch_whose_request_is_refused_was_in_vain() -> None:
    replicas = FakeReplicas("r1", "r2")
    async with a_site(replicas) as site:
        wrong = {"model": "finance", "messages": ["long"] * 9, "n": 10_000}
        browser = Browser(site, wrong, pieces=3)
        await until(lambda: browser.head == 400)
        assert site.metrics.relief == ["prefetched in vain"]


async def test_what_only_seems_to_be_asked_for_is_no_error_of_the_request() -> None:
    replicas = FakeReplicas("r1")
    async with a_site(replicas) as site:
        nested = {"extra": {"model": "nobody/knows"}, "messages": ["long"] * 9, "model": "finance"}
        browser = Browser(site, nested, pieces=3)
        await until(lambda: browser.head == 200)
        assert replicas.fetched == []


async def test_an_answer_that_takes_too_long_is_a_timeout() -> None:
    async def never(_call: Call, _replica: str) -> Reply:
        await asyncio.sleep(3600)
        return Reply(200)

    async with a_site(FakeReplicas("r1", answer=never), request_timeout_s=0.02) as site:
        response = await site.post()
        assert (response.status_code, response.json()["error"]["code"]) == (504, "timeout")
        assert site.replicas.responses[0].cancelled


async def test_a_replica_that_dies_costs_its_client_nothing_but_time() -> None:
    async def answer(_call: Call, replica: str) -> Reply:
        if len(replicas.routed) == 1:
            raise ConnectionError("gone")
        return Reply(200, b'{"id":"1"}')

    replicas = FakeReplicas("r1", "r2", answer=answer)
    async with a_site(replicas) as site:
        response = await site.post()
        assert response.status_code == 200
        assert response.headers["x-serve-replica"] == replicas.routed[1]
        assert len(set(replicas.routed)) == 2


async def test_a_client_that_leaves_before_its_answer_ends_the_call() -> None:
    async def never(_call: Call, _replica: str) -> Reply:
        await asyncio.sleep(3600)
        return Reply(200)

    async with a_site(FakeReplicas("r1", answer=never)) as site:
        browser = Browser(site, {"messages": []})
        await until(lambda: site.replicas.routed)
        browser.hang_up()
        await asyncio.wait([browser.request])
        assert site.replicas.responses[0].cancelled


async def test_tenants_that_change_take_effect_with_the_next_request(site: Site) -> None:
    assert (await site.post(key=ACME_KEY)).status_code == 200
    site.control.publish(finance=None)
    await until(lambda: not site.gateway.known.catalog.find("finance"))
    assert (await site.post(key=ACME_KEY)).status_code == 404
