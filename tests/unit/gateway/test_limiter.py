"""Limits as clients meet them."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import orjson
import pytest

from serve_app.gateway.caps import narrowed
from serve_app.gateway.too_many import duration
from serve_app.routing.messages import Call, Reply, Usage
from serve_app.settings import GatewaySettings
from serve_app.tenancy.limits import UNLIMITED, Limits
from tests.unit.fake_gateway import ACME_KEY, CHAT, ROOT_KEY, Browser, Site, a_site
from tests.unit.fakes import FakeReplicas, until

HELLO = [{"role": "user", "content": "hello"}]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


async def limit(site: Site, **limits: int) -> None:
    """Put limits on acme, and wait until the gateway knows them."""
    site.control.limit("acme", Limits(**limits))
    await until(lambda: site.gateway.known.tenants["acme"].limits == Limits(**limits))


def error(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 429, response.text
    found: dict[str, Any] = response.json()["error"]
    return found


async def test_requests_per_minute_are_exact_on_one_gateway(site: Site) -> None:
    await limit(site, requests_per_minute=20)
    answers = await asyncio.gather(*(site.post(messages=HELLO) for _ in range(60)))
    assert sorted(answer.status_code for answer in answers) == [200] * 20 + [429] * 40
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert error(refused) == {
        "message": error(refused)["message"],
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert "tenant `acme` may use 20 requests per minute, 0 are left" in error(refused)["message"]
    assert 1 <= int(refused.headers["retry-after"]) <= 61
    assert refused.headers["x-ratelimit-limit-requests"] == "20"
    assert refused.headers["x-ratelimit-remaining-requests"] == "0"
    assert site.metrics.limited_by == [("tenant", "requests")] * 40


async def test_answers_tell_how_their_tenant_stands(site: Site) -> None:
    await limit(site, requests_per_minute=10, tokens_per_minute=100_000)
    first, second = [await site.post(messages=HELLO) for _ in range(2)]
    assert first.headers["x-ratelimit-remaining-requests"] == "9"
    assert second.headers["x-ratelimit-remaining-requests"] == "8"
    assert second.headers["x-ratelimit-limit-tokens"] == "100000"
    unlimited = await site.post(key=ROOT_KEY, model="finance", messages=HELLO)
    assert not [name for name in unlimited.headers if name.startswith("x-ratelimit")]


async def test_other_tenants_are_not_touched(site: Site) -> None:
    await limit(site, requests_per_minute=0)
    assert error(await site.post(messages=HELLO))
    assert (await site.post(key=ROOT_KEY, model="finance", messages=HELLO)).status_code == 200
    assert site.control.shares <= 2


async def test_most_requests_wait_for_no_word_of_control(site: Site) -> None:
    await limit(site, requests_per_minute=1000)
    await site.post(messages=HELLO)
    told = site.control.shares
    for _ in range(50):
        assert (await site.post(messages=HELLO)).status_code == 200
    assert site.control.shares - told < 10


async def test_tokens_are_charged_by_estimate_and_settled_by_use() -> None:
    async def answer(_call: Call, _replica: str) -> Reply:
        return Reply(200, b"{}", Usage(3, 2))

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        await limit(site, tokens_per_minute=300)
        answers = [await site.post(messages=HELLO) for _ in range(8)]
        assert {answer.status_code for answer in answers} == {200}, "5 tokens each, not 257"
        assert answers[-1].headers["x-ratelimit-limit-tokens"] == "300"
        refused = await site.post(messages=HELLO, max_tokens=250, n=2)
        assert "tokens per minute" in error(refused)["message"]
        assert error(refused)["type"] == "tokens"


async def test_a_request_larger_than_the_limit_is_told_to_ask_for_less(site: Site) -> None:
    await limit(site, tokens_per_minute=100)
    refused = await site.post(messages=[{"role": "user", "content": "x" * 4000}])
    assert "ask for less" in error(refused)["message"]
    assert refused.headers["x-should-retry"] == "false"


async def test_concurrent_requests_are_counted_until_they_are_over() -> None:
    gate = asyncio.Event()

    async def answer(_call: Call, _replica: str) -> Reply:
        await gate.wait()
        return Reply(200, b"{}")

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        await limit(site, concurrent_requests=2)
        running = [asyncio.ensure_future(site.post(messages=HELLO)) for _ in range(2)]
        await until(lambda: len(site.replicas.routed) == 2)
        assert "requests at a time" in error(await site.post(messages=HELLO))["message"]
        gate.set()
        assert {(await one).status_code for one in running} == {200}
        assert (await site.post(messages=HELLO)).status_code == 200


async def test_a_client_that_leaves_gives_back_what_it_held() -> None:
    async def answer(_call: Call, _replica: str) -> Reply:
        await asyncio.sleep(3600)
        raise AssertionError

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        await limit(site, concurrent_requests=1)
        browser = Browser(site, {"messages": HELLO})
        await until(lambda: len(site.replicas.routed) == 1)
        browser.hang_up()
        await asyncio.wait([browser.request])
        tally = site.gateway._limiter._tallies["tenant", "acme"]
        assert tally.used(site.gateway._limiter._clock())[2] == 0


async def test_concurrent_adapters_are_distinct_ones() -> None:
    gate = asyncio.Event()

    async def answer(_call: Call, _replica: str) -> Reply:
        await gate.wait()
        return Reply(200, b"{}")

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        site.control.limit("root", Limits(concurrent_adapters=1))
        await until(lambda: site.gateway.known.tenants["root"].limits != UNLIMITED)
        ask: dict[str, Any] = {"messages": HELLO, "key": ROOT_KEY}
        running = [
            asyncio.ensure_future(site.post(model=model, **ask))
            for model in ("finance", "finance", "base")
        ]
        await until(lambda: len(site.replicas.routed) == 3)
        refused = await site.post(model="legal", **ask)
        assert "1 adapters at a time" in error(refused)["message"]
        gate.set()
        assert {(await one).status_code for one in running} == {200}


async def test_without_control_limits_go_on_from_the_last_share(site: Site) -> None:
    await limit(site, requests_per_minute=20)
    assert (await site.post(messages=HELLO)).status_code == 200
    site.control.away = True
    answers = [await site.post(messages=HELLO) for _ in range(25)]
    assert [answer.status_code for answer in answers].count(200) == 19


async def test_without_control_and_without_a_share_a_part_of_the_limit_is_taken(
    site: Site,
) -> None:
    await limit(site, requests_per_minute=20)
    site.control.away = True
    answers = [await site.post(messages=HELLO) for _ in range(6)]
    assert [answer.status_code for answer in answers].count(200) == 3


async def test_a_key_has_limits_of_its_own_beside_its_tenants(site: Site) -> None:
    snapshot = site.gateway.known
    key = snapshot.authenticate(f"Bearer {ACME_KEY}", 0).key
    await limit(site, requests_per_minute=5)
    object.__setattr__(key, "limits", Limits(requests_per_minute=2))
    answers = [await site.post(messages=HELLO) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert "key `key-acme`" in error(answers[-1])["message"]
    assert answers[0].headers["x-ratelimit-limit-requests"] == "2"


CAPPED: dict[str, tuple[dict[str, int], dict[str, Any], str]] = {
    "tokens": ({"max_tokens": 5}, {"max_tokens": 6}, "max_tokens"),
    "answers": ({"max_n": 1}, {"n": 2}, "n"),
    "logprobs": ({"max_logprobs": 0}, {"top_logprobs": 1}, "top_logprobs"),
    "stop words": ({"max_stop": 1}, {"stop": ["a", "b"]}, "stop"),
    "a grammar": (
        {"max_grammar_bytes": 9},
        {"response_format": {"type": "x" * 9}},
        "response_format",
    ),
}


@pytest.mark.parametrize("case", CAPPED)
async def test_a_tenants_cap_on_one_request_is_the_tighter_one(site: Site, case: str) -> None:
    caps, body, param = CAPPED[case]
    assert (await site.post(messages=HELLO, **_without_grammar(body))).status_code == 200
    await limit(site, **caps)
    refused = await site.post(messages=HELLO, **body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


def _without_grammar(body: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "response_format"}


async def test_a_tenants_bodies_may_be_capped_too(site: Site) -> None:
    await limit(site, max_body_bytes=100)
    assert (await site.post(messages=HELLO)).status_code == 200
    refused = await site.post(messages=[{"role": "user", "content": "x" * 100}])
    assert (refused.status_code, refused.json()["error"]["code"]) == (413, "request_too_large")
    raw = await site.client.post(
        CHAT, content=orjson.dumps({"messages": HELLO}), headers={"authorization": "Bearer x"}
    )
    assert raw.status_code == 401


def test_caps_never_go_above_the_applications() -> None:
    settings = GatewaySettings(max_tokens=100)
    assert narrowed(settings, Limits(max_tokens=1000), Limits(max_tokens=500)) == settings
    assert narrowed(settings, Limits(max_tokens=50), UNLIMITED).max_tokens == 50
    assert narrowed(settings, UNLIMITED, UNLIMITED) == settings


@pytest.mark.parametrize(
    ("seconds", "written"),
    [(0, "0ms"), (0.12, "120ms"), (1, "1s"), (6.2, "7s"), (60, "1m0s"), (360, "6m0s")],
)
def test_durations_are_written_as_openai_does(seconds: float, written: str) -> None:
    assert duration(seconds) == written
