"""Shadow arms over HTTP, with a real control behind the gateway."""

from collections.abc import AsyncIterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import orjson
import pytest

from serve_app.routing.messages import Call, Reply, Usage
from tests.unit.fakes import news_of, until
from tests.unit.gateway.test_experiments import (
    CHAT,
    TRIALS,
    USERS,
    a_tenant,
    a_trial,
    done,
    results,
    say,
)
from tests.unit.real_control import RealSite, a_real_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        await site.bench.register("finance", "/b", owner="acme")
        yield site


async def test_a_shadow_gets_copies_that_nobody_is_answered_with(site: RealSite) -> None:
    arms: list[dict[str, Any]] = [
        {"name": "a", "model": "finance@v1"},
        {"name": "b", "model": "finance@v1", "weight": 0},
        {"name": "dark", "model": "finance", "shadow": 0.5},
    ]
    await a_trial(site, *arms)
    site.replicas.answer = _whole
    assert {(await say(site, user)).headers["x-serve-arm"] for user in USERS[:60]} == {"a"}
    await until(lambda: site.metrics.records >= 60 + len(site.metrics.shadows))
    copies = [call for call in site.replicas.calls if call.request_id.endswith(".dark")]
    assert 15 < len(copies) == len(site.metrics.shadows) < 45
    assert {call.version.number for call in copies if call.version} == {2}
    assert not any(call.body.get("stream") for call in copies)
    told = await results(site, 60 + len(copies))
    dark = told["arms"][2]
    assert (dark["requests"], dark["finish_reasons"]) == (len(copies), {"stop": len(copies)})
    assert not told["mismatch"]["alarm"]
    kept = (await done(site, "GET", f"{TRIALS}/tone/answers?limit=5&arm=dark"))["data"]
    assert [one["answer"] for one in kept] == ["aside"] * 5
    assert {f"{one['request_id']}.dark" for one in kept} <= {call.request_id for call in copies}


async def test_a_shadow_gets_nothing_while_the_fleet_has_no_room_to_spare(tmp_path: Path) -> None:
    async with a_real_site(tmp_path) as site:
        site.replicas.news = news_of(capacity=4, other=3)
        site.replicas.send_news("r1")
        arms: list[dict[str, Any]] = [
            {"name": "a", "model": "finance"},
            {"name": "b", "model": "finance", "weight": 0},
            {"name": "dark", "model": "finance", "shadow": 1.0},
        ]
        await a_trial(site, *arms)
        await say(site)
        assert site.metrics.shadows == ["no_room"]
        assert len(site.replicas.calls) == 1


async def test_what_a_shadow_says_to_another_tenant_is_not_its_owners_to_read(
    site: RealSite,
) -> None:
    key = await a_tenant(site, "reader", adapters=frozenset({"*"}))
    arms: list[dict[str, Any]] = [
        {"name": "a", "model": "finance@v1"},
        {"name": "dark", "model": "finance", "weight": 0, "shadow": 1.0},
    ]
    await a_trial(site, *arms)
    site.replicas.answer = _whole
    asked = {"model": "tone", "messages": [{"role": "user", "content": "hello"}]}
    assert (await site.ask("POST", CHAT, key, asked)).status_code == 200
    assert (await results(site, 2))["arms"][1]["requests"] == 1
    assert (await done(site, "GET", f"{TRIALS}/tone/answers"))["data"] == []


async def test_a_shadow_is_not_of_the_request_that_serve_ends_when_its_client_leaves(
    site: RealSite,
) -> None:
    request = ContextVar("request", default="none")
    seen: dict[str, str] = {}

    async def answer(call: Call, replica: str) -> Reply:
        seen[call.request_id.rpartition(".")[2]] = request.get()
        return await _whole(call, replica)

    site.replicas.answer = answer
    arms: list[dict[str, Any]] = [
        {"name": "a", "model": "finance@v1"},
        {"name": "dark", "model": "finance", "weight": 0, "shadow": 1.0},
    ]
    await a_trial(site, *arms)
    request.set("the client's")
    id_ = (await say(site)).headers["x-request-id"]
    await until(lambda: len(seen) == 2)
    assert seen == {id_: "the client's", "dark": "none"}


async def _whole(_call: Call, _replica: str) -> Reply:
    said = {"object": "chat.completion", "choices": [{"message": {"content": "aside"}}]}
    return Reply(200, orjson.dumps(said), Usage(3, 2, 0, "stop"))
