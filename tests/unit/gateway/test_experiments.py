"""Experiments over HTTP, with a real control behind the gateway."""

from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.tenancy.commands import MakeKey, PutTenant
from tests.unit.control.bench import ADMIN
from tests.unit.fakes import until
from tests.unit.real_control import ACME_KEY, ADMIN_KEY, RealSite, a_real_site

CHAT = "/v1/chat/completions"
TRIALS = "/v1/experiments"
USERS = [f"user-{n}" for n in range(200)]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        await site.bench.register("finance", "/b", owner="acme")
        yield site


async def done(
    site: RealSite, method: str, path: str, body: Any = None, key: str = ADMIN_KEY
) -> dict[str, Any]:
    answer = await site.ask(method, path, key, body)
    assert answer.is_success, answer.text
    told: dict[str, Any] = answer.json()
    return told


async def a_trial(site: RealSite, *arms: dict[str, Any], **terms: Any) -> dict[str, Any]:
    """``tone``: the adapter's first version beside its second, unless other arms are given."""
    usual = ({"name": "a", "model": "finance@v1"}, {"name": "b", "model": "finance"})
    body = {"name": "tone", "arms": arms or usual, "owner": "acme", "start": True} | terms
    return await done(site, "POST", TRIALS, body)


async def say(site: RealSite, user: str = "ann", **body: Any) -> httpx.Response:
    asked = {"model": "tone", "user": user, "messages": [{"role": "user", "content": "hello"}]}
    answer = await site.ask("POST", CHAT, ACME_KEY, asked | body)
    assert answer.status_code == 200, answer.text
    return answer


async def results(site: RealSite, requests: int) -> dict[str, Any]:
    """Once so many requests are recorded."""
    await until(lambda: site.metrics.records >= requests)
    return await done(site, "GET", f"{TRIALS}/tone/results")


async def test_arms_are_the_versions_that_their_models_meant(site: RealSite) -> None:
    made = await a_trial(site, start=False)
    assert (made["state"], made["owner"], made["goal"]) == ("draft", "acme", "score")
    assert [arm["model"] for arm in made["arms"]] == ["finance@v1", "finance@v2"]
    assert [arm["share"] for arm in made["arms"]] == [0.5, 0.5]
    await site.bench.register("finance", "/c", owner="acme")
    assert (await done(site, "GET", f"{TRIALS}/tone"))["arms"] == made["arms"]
    assert [one["id"] for one in (await done(site, "GET", TRIALS))["data"]] == ["tone"]


async def test_users_are_shared_out_and_keep_their_arms(site: RealSite) -> None:
    await a_trial(site)
    first = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS}
    again = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS[:50]}
    assert again.items() <= first.items()
    assert min(Counter(first.values()).values()) > 60
    for user in USERS[:10]:
        answer = await say(site, user)
        version = {"a": 1, "b": 2}[first[user]]
        assert answer.headers["x-serve-adapter"] == site.bench.version("finance", version).name
        assert answer.headers["x-serve-experiment"] == "tone"
        assert answer.json()["metadata"]["arm"] == f"tone/{first[user]}"


async def test_what_a_request_is_assigned_by(site: RealSite) -> None:
    await a_trial(site)
    by_header = Counter[str]()
    for n in range(40):
        headers = {"authorization": f"Bearer {ACME_KEY}", "x-serve-unit": f"device-{n}"}
        body = {"model": "tone", "user": "ann", "messages": []}
        answer = await site.client.post(CHAT, headers=headers, json=body)
        by_header[answer.headers["x-serve-arm"]] += 1
    assert len(by_header) == 2, "a header comes before the user"


async def test_a_pause_gives_everybody_the_first_arm_and_then_back_what_they_had(
    site: RealSite,
) -> None:
    await a_trial(site)
    before = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS[:30]}
    await done(site, "POST", f"{TRIALS}/tone/pause")
    assert {(await say(site, user)).headers["x-serve-arm"] for user in USERS[:30]} == {"a"}
    await done(site, "POST", f"{TRIALS}/tone/start")
    after = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS[:30]}
    assert after == before
    told = await results(site, 90)
    assert sum(arm["requests"] for arm in told["arms"]) == 60, "those of the pause do not count"


async def test_a_ramp_moves_units_into_its_arm_alone(site: RealSite) -> None:
    await a_trial(site)
    await done(site, "POST", f"{TRIALS}/tone/ramp", {"arm": "b", "share": 0.1})
    before = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS}
    ramped = await done(site, "POST", f"{TRIALS}/tone/ramp", {"arm": "b", "share": 0.3})
    assert [round(arm["share"], 9) for arm in ramped["arms"]] == [0.7, 0.3]
    after = {user: (await say(site, user)).headers["x-serve-arm"] for user in USERS}
    moved = {user for user in USERS if before[user] != after[user]}
    assert 10 < len(moved) < 80
    assert {after[user] for user in moved} == {"b"}
    told = await results(site, 400)
    assert not told["mismatch"]["alarm"]


async def test_feedback_decides_and_the_winner_is_promoted(site: RealSite) -> None:
    """From the first request to an alias that means the better version."""
    await a_trial(site)
    await done(site, "PUT", "/v1/lora/finance/aliases/finance-live", {"version": 1})
    undecided = await site.ask("POST", f"{TRIALS}/tone/promote", json={"alias": "finance-live"})
    assert undecided.json()["error"]["code"] == "experiment_undecided"
    answers = [await say(site, user) for user in USERS]
    await until(lambda: site.metrics.records >= len(USERS))
    for number, answer in enumerate(answers):
        arm, id_ = answer.headers["x-serve-arm"], answer.headers["x-request-id"]
        score = float(number % 10 < {"a": 3, "b": 8}[arm])
        judged = {"request_id": id_, "score": score}
        told = await done(site, "POST", "/v1/feedback", judged, ACME_KEY)
        assert (told["experiment"], told["arm"], told["score"]) == ("tone", arm, score)
    told = await results(site, len(USERS))
    assert told["winner"] == "b", told["text"]
    assert "b is better than a" in told["text"]
    (verdict,) = told["verdicts"]
    assert (verdict["finding"], verdict["difference"]["low"] > 0) == ("better", True)
    figure = told["arms"][1]["figures"]["score"]
    assert figure["low"] < figure["mean"] < figure["high"]
    promoted = await done(site, "POST", f"{TRIALS}/tone/promote", {"alias": "finance-live"})
    assert (promoted["state"], promoted["winner"]) == ("stopped", "b")
    assert (await done(site, "GET", "/v1/lora/finance"))["aliases"] == {"finance-live": 2}
    assert {(await say(site, user)).headers["x-serve-arm"] for user in USERS[:20]} == {"b"}


async def test_feedback_said_again_takes_the_place_of_what_was_said(site: RealSite) -> None:
    await a_trial(site)
    good, bad = (await say(site)).headers["x-request-id"], (await say(site)).headers["x-request-id"]
    await until(lambda: site.metrics.records >= 2)
    for body in (
        {"request_id": good, "score": -1.0},
        {"request_id": f"chatcmpl-{good}", "preferred_over": bad},
        {"request_id": good, "preferred_over": bad, "labels": {"by": "ann"}},
    ):
        told = await done(site, "POST", "/v1/feedback", body, ACME_KEY)
        assert told["request_id"] == good
    told = await results(site, 2)
    scores = [arm["figures"]["score"] for arm in told["arms"] if arm["requests"]]
    assert [(score["count"], score["mean"]) for score in scores] == [(2, 0.5)]
    anothers = await site.ask("POST", "/v1/feedback", json={"request_id": good, "score": 1})
    lost = await site.ask("POST", "/v1/feedback", ACME_KEY, {"request_id": "nobody's", "score": 1})
    assert (lost.status_code, lost.json()["error"]["code"]) == (404, "request_not_found")
    assert anothers.json()["error"]["code"] == "request_not_found"
    both = await site.ask("POST", "/v1/feedback", ACME_KEY, {"request_id": good})
    assert both.status_code == 400


async def test_an_arm_whose_model_is_gone_leaves_nobody_without_an_answer(site: RealSite) -> None:
    await site.bench.register("other", "/d", owner="acme")
    arms = [{"name": "a", "model": "finance"}, {"name": "b", "model": "other"}]
    await a_trial(site, *arms)
    await site.bench.remove("other")
    assert {(await say(site, user)).headers["x-serve-arm"] for user in USERS[:20]} == {"a"}
    told = await results(site, 20)
    assert "The model of b answers no more" in told["text"]
    assert told["arms"][0]["requests"] < 20, "those of b's units are not counted as a's"


async def a_tenant(site: RealSite, id_: str, **terms: Any) -> str:
    """A key of a new tenant's, once the gateway knows it."""
    assert (await site.bench.control.manage(PutTenant(ADMIN, id_, **terms))).status == 201
    made = await site.bench.control.manage(MakeKey(ADMIN, id_))
    await until(lambda: site.gateway.known.keyring.find(made.body["key"]) is not None)
    return str(made.body["key"])


@pytest.mark.parametrize("default", ["finance", "tone"])
async def test_an_arm_of_the_base_is_the_base_whatever_the_default(
    site: RealSite, default: str
) -> None:
    finance = frozenset({"finance"})
    key = await a_tenant(site, "newco", adapters=finance, default_adapter=default, base=True)
    arms = {"name": "a", "model": "base"}, {"name": "b", "model": "finance", "weight": 0}
    await a_trial(site, *arms, owner="newco")
    answer = await site.ask("POST", CHAT, key, {"model": "tone", "messages": []})
    assert answer.headers["x-serve-arm"] == "a"
    assert answer.headers["x-serve-adapter"] == "base"
