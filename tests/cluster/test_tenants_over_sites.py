"""An application on a real Ray Serve and a second site hold limits together over one real Redis.
The second one is in this process: a gateway's limiter, over control's own sharing."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.control.sharing import Sharing
from serve_app.control.times import Times
from serve_app.gateway.limiter import Limiter
from serve_app.settings import LimitsSettings
from tests import harness
from tests.cluster.conftest import stub_config
from tests.harness import RunningApp
from tests.redis_server import RedisServer, running_redis
from tests.unit.fake_gateway import RecordedMetrics
from tests.unit.gateway.test_limiters_together import Customer

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

LIMIT = 200
TENANTS = {
    "eager": {"requests_per_minute": LIMIT},
    "narrow": {"concurrent_requests": 3},
    "late": {"requests_per_minute": 50},
}


@pytest.fixture(scope="module")
def redis() -> Iterator[RedisServer]:
    with running_redis() as server:
        yield server


@pytest.fixture(scope="module")
def app(adapters: Path, redis: RedisServer) -> Iterator[RunningApp]:
    """The site ``east``."""
    config = stub_config(adapters)
    harness.args(config)["limits"] = {"redis_url": redis.url, "site": "east"}
    harness.deployment(config, "control")["user_config"]["tenants"] += [
        {"id": tenant, "keys": [f"sk-{tenant}"], "base": True, "limits": limits}
        for tenant, limits in TENANTS.items()
    ]
    with harness.running(config) as app:
        yield app


@pytest.fixture
async def west(redis: RedisServer) -> AsyncIterator[Limiter]:
    """The gateway of another site."""
    settings = LimitsSettings.model_validate({"redis_url": redis.url, "site": "west"})
    sharing = Sharing(settings, lambda _: (0, 0), Times(learning_s=0))
    sharing.start()
    limiter = Limiter("west-1", sharing.share, RecordedMetrics())
    yield limiter
    await limiter.close()
    await sharing.close()


@pytest.fixture
async def east(app: RunningApp) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=app.url, timeout=20) as client:
        yield client


async def _ask(client: httpx.AsyncClient, tenant: str, **body: Any) -> int:
    headers = {"authorization": f"Bearer sk-{tenant}"}
    given = {"prompt": "p", "max_tokens": 4} | body
    return (await client.post("/v1/completions", json=given, headers=headers)).status_code


def _used(app: RunningApp, tenant: str) -> dict[str, int]:
    headers = {"authorization": "Bearer sk-admin"}
    shown = httpx.get(f"{app.url}/admin/v1/limits/{tenant}", headers=headers, timeout=20)
    used: dict[str, int] = shown.json()["used"]
    return used


async def test_a_limit_holds_over_sites_together(
    app: RunningApp, east: httpx.AsyncClient, west: Limiter
) -> None:
    """Each is offered one and a half times the limit, in less than a minute."""
    customer = Customer("eager", **TENANTS["eager"])
    statuses: Counter[int] = Counter()
    admitted: Counter[bool] = Counter()
    began = time.monotonic()

    async def offer() -> None:
        for _ in range(3 * LIMIT // 16):
            statuses[await _ask(east, "eager")] += 1
            admitted[await customer.ask(west)] += 1

    await asyncio.gather(*(offer() for _ in range(8)))
    customer.end()
    assert time.monotonic() - began < 60, "no request has left the window yet"
    assert set(statuses) == {200, 429}
    assert admitted[True] > 0
    assert 0.9 * LIMIT <= statuses[200] + admitted[True] <= LIMIT
    used = await asyncio.to_thread(_used, app, "eager")
    assert used["requests_per_minute"] == statuses[200] + admitted[True]


async def test_requests_at_a_time_are_counted_over_sites(
    east: httpx.AsyncClient, west: Limiter
) -> None:
    customer = Customer("narrow", **TENANTS["narrow"])
    slow = asyncio.gather(*(_ask(east, "narrow", pause_s=2) for _ in range(6)))
    running = await customer.served(west, 6)
    statuses = Counter(await slow)
    assert set(statuses) <= {200, 429}
    assert 1 <= statuses[200] + running <= 3
    customer.end()
    async with asyncio.timeout(10):  # what one does not use reaches the other soon
        while await _ask(east, "narrow") != 200:  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.1)


async def test_without_redis_requests_are_served(
    app: RunningApp, east: httpx.AsyncClient, redis: RedisServer
) -> None:
    redis.kill()
    assert [await _ask(east, "late") for _ in range(5)] == [200] * 5
    assert await _ask(east, "admin") == 200
    assert (await asyncio.to_thread(_used, app, "late"))["requests_per_minute"] <= 5
