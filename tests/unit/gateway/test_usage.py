"""Usage as it is recorded and told, with a real control behind the gateway."""

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.routing.messages import Call, Reply, Usage
from serve_app.tenancy.limits import Limits
from tests.unit.fake_gateway import Browser, a_site
from tests.unit.fakes import FakeReplicas, until
from tests.unit.real_control import ACME_KEY, RealSite, a_real_site

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "finance"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        yield site


async def recorded(site: RealSite, requests: int) -> None:
    await until(lambda: site.metrics.records == requests)


async def usage(site: RealSite, path: str = "/admin/v1/usage", key: str = "sk-r") -> Any:
    answer = await site.ask("GET", path, key)
    assert answer.status_code == 200, answer.text
    return answer.json()["data"]


async def test_every_request_is_recorded_once_with_what_it_used(site: RealSite) -> None:
    for _ in range(3):
        assert (await site.ask("POST", CHAT, ACME_KEY, HELLO)).status_code == 200
    assert (await site.ask("POST", CHAT, ACME_KEY, {"model": "nothing"})).status_code == 404
    assert (await site.ask("GET", "/v1/models", ACME_KEY)).status_code == 200
    assert (await site.ask("POST", CHAT, "sk-nobody", HELLO)).status_code == 401
    await recorded(site, 4)
    rows = await usage(site, "/admin/v1/usage?group_by=outcome&group_by=adapter&group_by=version")
    told = {(row["outcome"], row["adapter"], row["version"]): row for row in rows}
    assert set(told) == {("ok", "finance", 1), ("model_not_found", "", 0)}
    ok = told["ok", "finance", 1]
    assert (ok["requests"], ok["prompt_tokens"], ok["completion_tokens"]) == (3, 9, 6)
    assert ok["time_to_first_token_s"] >= 0


async def test_a_tenant_sees_its_own_usage_and_no_other(site: RealSite) -> None:
    for key in (ACME_KEY, "sk-r"):
        await site.ask("POST", CHAT, key, HELLO)
    await recorded(site, 2)
    for path in ("/v1/usage?group_by=tenant", "/v1/usage?group_by=tenant&tenant=root"):
        assert [(row["tenant"], row["requests"]) for row in await usage(site, path, ACME_KEY)] == [
            ("acme", 1)
        ]
    both = await usage(site, "/admin/v1/usage")
    assert [(row["tenant"], row["requests"]) for row in both] == [("acme", 1), ("root", 1)]
    one = await usage(site, "/admin/v1/usage?tenant=root")
    assert [row["tenant"] for row in one] == ["root"]


async def test_usage_comes_as_csv_too(site: RealSite) -> None:
    await site.ask("POST", CHAT, ACME_KEY, HELLO)
    await recorded(site, 1)
    answer = await site.ask("GET", "/v1/usage?format=csv&interval=hour", ACME_KEY)
    assert answer.headers["content-type"].startswith("text/csv")
    (row,) = csv.DictReader(io.StringIO(answer.text))
    assert (row["adapter"], row["requests"]) == ("finance", "1")


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("from=yesterday", "from"),
        ("to=-5", "to"),
        ("to=99999999999999999999", "to"),
        ("interval=week", "interval"),
        ("group_by=colour", "group_by.0"),
        ("limit=0", "limit"),
    ],
)
async def test_a_bad_question_is_refused_by_its_parameter(
    site: RealSite, query: str, param: str
) -> None:
    refused = await site.ask("GET", f"/v1/usage?{query}", ACME_KEY)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


async def test_dates_are_utc(site: RealSite) -> None:
    await site.ask("POST", CHAT, ACME_KEY, HELLO)
    await recorded(site, 1)
    assert await usage(site, "/v1/usage?from=2020-01-01&to=2099-12-31T23:00:00Z", ACME_KEY)
    assert not await usage(site, "/v1/usage?from=2020-01-01&to=2020-02-01", ACME_KEY)


async def test_a_key_that_was_used_says_when(site: RealSite) -> None:
    made = (await site.ask("POST", "/admin/v1/keys", json={"tenant": "acme"})).json()
    await site.ask("POST", CHAT, made["key"], HELLO)
    await recorded(site, 1)
    await site.bench.passes(1)
    shown = (await site.ask("GET", f"/admin/v1/keys/{made['id']}")).json()
    assert shown["last_used"] >= made["created"]


async def test_a_budget_that_is_spent_is_told_with_its_end(site: RealSite) -> None:
    limits = {"limits": {"tokens_per_day": 12}, "adapters": ["finance"]}
    await site.ask("PUT", "/admin/v1/tenants/newco", json=limits)
    key = (await site.ask("POST", "/admin/v1/keys", json={"tenant": "newco"})).json()["key"]
    codes = [(await site.ask("POST", CHAT, key, HELLO)).status_code for _ in range(5)]
    assert codes == [200, 200, 200, 429, 429], "5 tokens each: the third passes 12"
    refused = await site.ask("POST", CHAT, key, HELLO)
    error = refused.json()["error"]
    assert (error["code"], error["type"]) == ("insufficient_quota", "insufficient_quota")
    assert "spent its 12 tokens per day" in error["message"]
    assert refused.headers["x-should-retry"] == "false"
    assert 0 < int(refused.headers["retry-after"]) <= 86_400


async def test_usage_waits_on_disk_while_control_is_away() -> None:
    async with a_site() as site:
        site.control.away = True
        assert (await site.post(messages=HELLO["messages"])).status_code == 200
        folder = site.gateway.meter._folder
        await until(lambda: list(folder.glob("*/*.json")))
        assert site.control.batches == []
        site.control.away = False
        await until(lambda: site.control.batches)
        (record,) = site.control.batches[0].records
        assert (record.tenant, record.adapter, record.outcome) == ("acme", "finance", "ok")
        await until(lambda: not list(folder.glob("*/*.json")))


async def test_a_gateway_that_stops_leaves_nothing_unrecorded() -> None:
    async with a_site() as site:
        assert (await site.post(messages=HELLO["messages"])).status_code == 200
        control = site.control
    assert [len(batch.records) for batch in control.batches] == [1]


async def test_a_stream_that_is_cut_is_charged_what_came_of_it() -> None:
    async def answer(_call: Call, _replica: str) -> Reply:
        await asyncio.sleep(3600)
        raise AssertionError

    async with a_site(FakeReplicas("r1", answer=answer)) as site:
        site.control.limit("acme", Limits(tokens_per_minute=10_000))
        browser = Browser(site, {"messages": HELLO["messages"], "stream": True})
        await until(lambda: site.replicas.routed)
        call = site.replicas.calls[0]
        site.replicas.send("r1", call, b"data: {}\n\n", used=Usage(7, 2, 4))
        await until(lambda: b"data" in browser.text)
        browser.hang_up()
        await asyncio.wait([browser.request])
        control = site.control
    (record,) = control.batches[0].records
    assert (record.prompt_tokens, record.completion_tokens, record.cached_tokens) == (7, 2, 4)
    assert record.outcome == "client_gone"
