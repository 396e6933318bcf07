"""Tenants, limits and usage over two gateways, on a real Ray Serve with stub engines."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import harness
from tests.cluster.conftest import stub_config
from tests.harness import RunningApp, eventually

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

LIMIT = 600


@pytest.fixture(scope="module")
def kept(one_gateway: RunningApp) -> str:
    """A key made in an application that has ended since, and used there once."""
    key: str = a_customer(one_gateway, "stays", requests_per_minute=50)["key"]
    assert one_gateway.post("/v1/completions", key, json={"prompt": "p"}).status_code == 200
    harness.stop(one_gateway)
    return key


@pytest.fixture(scope="module")
def app(adapters: Path, data: Path, kept: str) -> Iterator[RunningApp]:
    """Two gateways, started where the other application has ended."""
    assert kept
    with harness.running(stub_config(adapters, data, gateways=2)) as app:
        yield app


def admin(app: RunningApp, method: str, path: str, json: Any = None) -> dict[str, Any]:
    answer = httpx.request(
        method,
        f"{app.url}/admin/v1{path}",
        headers={"authorization": "Bearer sk-admin"},
        json=json,
        timeout=20,
    )
    assert answer.status_code < 300, answer.text
    body: dict[str, Any] = answer.json()
    return body


def a_customer(app: RunningApp, tenant: str, **limits: int) -> dict[str, Any]:
    """A tenant that may use everything, and its key."""
    admin(app, "PUT", f"/tenants/{tenant}", {"adapters": ["*"], "base": True, "limits": limits})
    return admin(app, "POST", "/keys", {"tenant": tenant})


async def _gateways(client: httpx.AsyncClient) -> set[str]:
    """Ids of the gateways that answer."""
    pages = await asyncio.gather(
        *(
            client.get("/admin/v1/fleet", headers={"authorization": "Bearer sk-admin"})
            for _ in range(12)
        )
    )
    return {page.json()["gateway"] for page in pages}


async def _ask(client: httpx.AsyncClient, key: str, **body: Any) -> httpx.Response:
    headers = {"authorization": f"Bearer {key}"}
    given = {"prompt": "p", "model": "adapter-1", "max_tokens": 4} | body
    return await client.post("/v1/completions", json=given, headers=headers)


def test_tenants_keys_and_usage_outlive_the_application(app: RunningApp, kept: str) -> None:
    assert app.post("/v1/completions", kept, json={"prompt": "p"}).status_code == 200
    assert admin(app, "GET", "/tenants/stays")["limits"] == {"requests_per_minute": 50}
    usage = "/usage?tenant=stays&interval=total"
    eventually(lambda: admin(app, "GET", usage)["data"][0]["requests"] == 2, 10, "recorded")


async def test_a_revoked_key_is_refused_on_both_gateways_within_a_second(app: RunningApp) -> None:
    key = a_customer(app, "leaver")
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=20, limits=limits) as client:
        async with asyncio.timeout(60):
            while len(await _gateways(client)) < 2:  # noqa: ASYNC110 - the second is starting
                await asyncio.sleep(0.5)
        answers = await asyncio.gather(*(_ask(client, key["key"]) for _ in range(16)))
        assert {answer.status_code for answer in answers} == {200}
        revoked = await asyncio.to_thread(admin, app, "DELETE", f"/keys/{key['id']}")
        revoked_at = time.monotonic()
        assert revoked["state"] == "revoked"
        last_served = revoked_at
        while time.monotonic() < revoked_at + 2:
            sent_at = time.monotonic()
            answers = await asyncio.gather(*(_ask(client, key["key"]) for _ in range(8)))
            if 200 in {answer.status_code for answer in answers}:
                last_served = sent_at
        assert {answer.status_code for answer in answers} == {401}
    assert last_served - revoked_at < 1


async def test_a_limit_holds_over_two_gateways_together(app: RunningApp) -> None:
    """Three times the limit is offered, to both gateways, in less than a minute."""
    key = a_customer(app, "eager", requests_per_minute=LIMIT)["key"]
    statuses: Counter[int] = Counter()
    limits = httpx.Limits(max_connections=24)
    began = time.monotonic()
    async with httpx.AsyncClient(base_url=app.url, timeout=20, limits=limits) as client:

        async def offer(requests: int) -> None:
            for _ in range(requests):
                answer = await _ask(client, key)
                statuses[answer.status_code] += 1

        await asyncio.gather(*(offer(3 * LIMIT // 24) for _ in range(24)))
        refused = await _ask(client, key)
    assert time.monotonic() - began < 60, "no request has left the window yet"
    assert set(statuses) == {200, 429}
    assert sum(statuses.values()) == 3 * LIMIT
    assert 0.9 * LIMIT <= statuses[200] <= LIMIT
    assert refused.json()["error"]["code"] == "rate_limit_exceeded"
    assert refused.headers["x-ratelimit-limit-requests"] == str(LIMIT)


async def test_requests_at_a_time_are_counted_over_both_gateways(app: RunningApp) -> None:
    key = a_customer(app, "narrow", concurrent_requests=4)["key"]
    async with httpx.AsyncClient(base_url=app.url, timeout=20) as client:
        answers = await asyncio.gather(*(_ask(client, key, pause_s=2) for _ in range(20)))
        statuses = Counter(answer.status_code for answer in answers)
        assert set(statuses) == {200, 429}
        assert 1 <= statuses[200] <= 4
        async with asyncio.timeout(10):  # what one gateway does not use reaches the other soon
            while (await _ask(client, key)).status_code != 200:  # noqa: ASYNC110 - it is asked
                await asyncio.sleep(0.1)


async def test_a_user_has_the_same_arm_at_both_gateways(app: RunningApp) -> None:
    key = a_customer(app, "curious")["key"]
    arms = [{"name": name, "model": f"adapter-{n}"} for n, name in enumerate("ab", 1)]
    trial = {"name": "trial", "arms": arms, "owner": "curious", "start": True}
    assert app.post("/v1/experiments", "sk-admin", json=trial).status_code == 201
    users = [f"user-{n % 60}" for n in range(240)]
    limits = httpx.Limits(max_connections=16, max_keepalive_connections=0)
    async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=limits) as client:
        assert len(await _gateways(client)) == 2
        answers = await asyncio.gather(
            *(_ask(client, key, model="trial", user=user) for user in users)
        )
    assert {answer.status_code for answer in answers} == {200}
    had = {
        (user, answer.headers["x-serve-arm"]) for user, answer in zip(users, answers, strict=True)
    }
    assert len(had) == 60
    assert {arm for _, arm in had} == {"a", "b"}

    def results() -> dict[str, Any]:
        headers = {"authorization": "Bearer sk-admin"}
        told = httpx.get(f"{app.url}/v1/experiments/trial/results", headers=headers, timeout=20)
        found: dict[str, Any] = told.json()
        return found

    eventually(lambda: sum(a["requests"] for a in results()["arms"]) == 240, 20, "all are recorded")
    assert sum(arm["units"] for arm in results()["arms"]) == 60
    assert not results()["mismatch"]["alarm"]


async def test_a_tenant_that_fills_every_seat_does_not_keep_another_waiting(
    app: RunningApp,
) -> None:
    """Five times as many requests as there are seats: in one queue for all, the quiet tenant's
    would be behind more than two hundred of them."""
    noisy, quiet = a_customer(app, "noisy")["key"], a_customer(app, "quiet")["key"]
    done = 0
    limits = httpx.Limits(max_connections=400)
    async with httpx.AsyncClient(base_url=app.url, timeout=60, limits=limits) as client:
        assert (await _ask(client, quiet)).status_code == 200

        async def ask_slowly(seconds: float) -> int:
            nonlocal done
            status = (await _ask(client, noisy, pause_s=seconds)).status_code
            done += 1
            return status

        asked = [asyncio.create_task(ask_slowly(1 + n % 20 / 10)) for n in range(320)]
        async with asyncio.timeout(30):
            while not done:  # noqa: ASYNC110 - until the first seats are free again
                await asyncio.sleep(0.05)
        answers = [await _ask(client, quiet) for _ in range(10)]
        assert {answer.status_code for answer in answers} == {200}
        assert done < 200, "the others still wait"
        assert Counter(await asyncio.gather(*asked)) == {200: 320}, "and have their turn"


async def test_usage_is_what_clients_received_though_replica_gateway_and_control_are_killed(
    app: RunningApp,
) -> None:
    """A gateway that is killed loses what it had not written yet; nothing is counted twice."""
    key = a_customer(app, "billed")["key"]
    outcomes: Counter[str] = Counter()
    until = time.monotonic() + 8
    async with httpx.AsyncClient(base_url=app.url, timeout=20) as client:

        async def asking() -> None:
            while time.monotonic() < until:
                try:
                    answer = await _ask(client, key)
                    outcomes[str(answer.status_code)] += 1
                except httpx.HTTPError:
                    outcomes["lost"] += 1
                await asyncio.sleep(0.02)

        asked = [asyncio.create_task(asking()) for _ in range(6)]
        for deployment in ("engine", "gateway", "control"):
            await asyncio.sleep(2)
            app.processes(f"ServeReplica:serve_app:{deployment}")[0].kill()
        await asyncio.gather(*asked)
    received = outcomes["200"]
    assert received > 100

    def recorded() -> int:
        rows = admin(app, "GET", "/usage?tenant=billed&group_by=outcome&interval=total")["data"]
        told = {row["outcome"]: row for row in rows}
        assert told["ok"]["prompt_tokens"] == 3 * told["ok"]["requests"]
        requests: int = told["ok"]["requests"]
        return requests

    most_lost = 6 * (1 + round(0.5 / 0.02))  # by the killed gateway: half a second's
    most = received + outcomes["lost"]  # a request whose answer was lost may count
    eventually(lambda: _settled(app) and recorded() >= received - most_lost, 60, "usage is there")
    at_rest, since = recorded(), time.monotonic()
    while time.monotonic() < since + 3:  # what is counted late, or again, is seen here
        assert at_rest <= most
        if (now := recorded()) != at_rest:
            at_rest, since = now, time.monotonic()
        await asyncio.sleep(0.2)


def _settled(app: RunningApp) -> bool:
    """Whether no batch waits on disk any more."""
    return not list((app.data / "usage").glob("*/*.json"))
