"""The SDK against the real gateway and the real control, without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import openai
import orjson
import pytest

from serve_app.client import Arm, AsyncLoraClient
from serve_app.gateway.answers import DONE
from serve_app.routing.messages import Call, Reply, Usage
from tests.unit.client.wire import chunks
from tests.unit.fakes import until
from tests.unit.real_control import ACME_KEY, ADMIN_KEY, RealSite, a_real_site


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        yield site


def client_of(site: RealSite, key: str = ADMIN_KEY) -> AsyncLoraClient:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(site.app, raise_app_exceptions=False))
    return AsyncLoraClient("http://gateway", key, max_retries=0, http_client=http)


async def test_an_adapter_from_its_registration_to_its_end(site: RealSite) -> None:
    client = client_of(site)
    made = await client.register_lora(
        "new", "/adapters/new", owner="acme", description="d", labels={"team": "x"}, pin=True
    )
    assert (made.id, made.version, made.is_live, made.owner) == ("new", 1, True, "acme")
    assert (made.description, dict(made.labels), made.pin) == ("d", {"team": "x"}, True)
    assert (await client.register_lora("new", "/adapters/other")).version == 2
    assert [one.version for one in await client.versions("new")] == [2, 1]
    assert (await client.rollback("new")).version == 1
    assert (await client.rollback("new", 2)).version == 2
    assert dict((await client.set_alias("new", "stable", "v1")).aliases) == {"stable": 1}
    assert dict((await client.remove_alias("new", "stable")).aliases) == {}
    names = [one.id for one in await client.list_available_loras()]
    assert names == ["finance", "new"]
    assert not (await client.unregister_lora("new")).is_live
    assert [one.id for one in await client.list_available_loras()] == ["finance"]


async def test_a_tenant_sees_its_own_adapters_alone(site: RealSite) -> None:
    await client_of(site).register_lora("roots", "/adapters/roots")
    client = client_of(site, ACME_KEY)
    assert [one.id for one in await client.list_available_loras()] == ["finance"]
    with pytest.raises(openai.NotFoundError):
        await client.lora("roots")


async def test_a_chat_says_which_version_answered_and_where(site: RealSite) -> None:
    site.replicas.answer = _up
    answer = await client_of(site, ACME_KEY).chat("finance", "How was the quarter?")
    assert answer.content == "up 4%"
    assert answer.adapter is not None
    assert answer.adapter.startswith("finance@")
    assert (answer.replica, answer.usage and answer.usage.completion_tokens) == ("r1", 2)


async def test_a_stream_ends_with_metrics_and_says_who_answered(site: RealSite) -> None:
    async def answer(call: Call, replica: str) -> Reply:
        site.replicas.send(replica, call, *chunks("up", " 4%")[:-1], DONE, None)
        return Reply(200, usage=Usage(7, 5))

    site.replicas.answer = answer
    async with client_of(site, ACME_KEY).stream("finance", "How was the quarter?") as stream:
        assert [delta async for delta in stream] == ["up", " 4%"]
    assert stream.metrics.adapter is not None
    assert stream.metrics.adapter.startswith("finance@")
    assert stream.metrics.usage is not None
    assert stream.metrics.usage.completion_tokens == 5
    assert stream.metrics.latency_s >= (stream.metrics.time_to_first_token_s or 0) > 0


async def _up(_call: Call, _replica: str) -> Reply:
    message = {"role": "assistant", "content": "up 4%"}
    body = {
        "id": "1",
        "object": "chat.completion",
        "created": 1,
        "model": "demo@finance",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
    }
    return Reply(200, orjson.dumps(body), Usage(3, 2))


async def test_an_experiment_from_its_first_request_to_its_end(site: RealSite) -> None:
    site.replicas.answer = _up
    await site.bench.register("finance", "/b", owner="acme")
    admin, acme = client_of(site), client_of(site, ACME_KEY)
    arms = [Arm("a", "finance@v1"), Arm("b", "finance"), Arm("dark", "finance", shadow=0.5)]
    made = await admin.experiments.create("tone", arms, owner="acme", min_effect=0.1)
    assert (made.state, made.min_effect, made.arms[2].shadow) == ("draft", 0.1, 0.5)
    assert (await admin.experiments.start("tone")).state == "running"
    answer = await acme.chat("tone", "hello", user="ann")
    assert (answer.experiment, answer.arm in ("a", "b")) == ("tone", True)
    await until(lambda: site.metrics.records)
    told = await acme.feedback(answer.request_id or "", 1, labels={"by": "ann"})
    assert (told.score, told.arm, dict(told.labels)) == (1, answer.arm, {"by": "ann"})
    with pytest.raises(openai.ConflictError, match="No arm of `tone` is better"):
        await admin.experiments.promote("tone")
    assert (await admin.experiments.set_weights("tone", {"b": 3})).arms[1].share == 0.75
    assert (await admin.experiments.ramp("tone", "b", 0.5)).arms[1].share == 0.5
    results = await acme.experiments.results("tone")
    assert sum(arm.figures["score"].count for arm in results.arms) == 1
    assert [verdict.finding for verdict in results.verdicts] == ["too_early"]
    (judged,) = [one async for one in admin.experiments.feedback("tone", answer.arm)]
    assert (judged.score, dict(judged.labels)) == (1, {"by": "ann"})
    assert [one async for one in admin.experiments.answers("tone", "b")] == []
    assert (await admin.experiments.promote("tone", "b", alias="finance-live")).winner == "b"
    assert dict((await acme.lora("finance")).aliases) == {"finance-live": 2}
    assert [one.id async for one in acme.experiments.list()] == ["tone"]
    assert (await admin.experiments.delete("tone")).id == "tone"
    with pytest.raises(openai.NotFoundError):
        await acme.experiments.get("tone")
