"""A gateway over a real control on a real database, as Ray would put them together."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx

from serve_app.feed import Update
from serve_app.gateway.app import create_app
from serve_app.gateway.gateway import Gateway
from serve_app.gateway.registry import Registry
from serve_app.settings import GatewaySettings
from tests.unit.control.bench import BASE, PEPPER, Bench
from tests.unit.fake_gateway import RecordedMetrics
from tests.unit.fakes import FakeMethod, FakeReplicas, until

ADMIN_KEY, ACME_KEY = "sk-r", "sk-acme"


class _Stream:
    """A follower's stream, which can be given up."""

    def __init__(self, updates: AsyncIterator[Update]) -> None:
        self._updates = updates

    def __aiter__(self) -> AsyncIterator[Update]:
        return self._updates

    def cancel(self) -> None: ...


class ControlHandle:
    """Control as a Ray handle has it, in this process."""

    def __init__(self, bench: Bench) -> None:
        self._control = bench.control
        self.manage = FakeMethod(self._control.manage)
        self.follow = FakeMethod(lambda tenants: _Stream(self._control.follow(tenants)))
        self.share = FakeMethod(self._control.share)
        self.record = FakeMethod(self._control.record)
        self.revision = self

    def options(self, *, stream: bool) -> "ControlHandle":
        assert stream
        return self

    async def remote(self) -> int:
        return self._control.revision


class RealSite:
    """The application over real control and scripted replicas, and its client."""

    def __init__(self, bench: Bench, folder: Path, **settings: Any) -> None:
        self.bench = bench
        self.metrics = RecordedMetrics()
        self.replicas = FakeReplicas("r1")
        limits = GatewaySettings(**settings)
        registry = Registry(ControlHandle(bench), BASE, PEPPER)
        self.gateway = Gateway(self.replicas, registry, limits, self.metrics, folder)
        self.app = create_app(self.gateway, self.metrics, limits.max_body_bytes)
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    async def ask(
        self, method: str, path: str, key: str = ADMIN_KEY, json: Any = None
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"}
        return await self.client.request(method, path, headers=headers, json=json)


def an_experiment(name: str, adapter: str = "finance") -> dict[str, Any]:
    """Body of an experiment of acme's that begins at once, on an adapter and a version of it."""
    arms = [{"name": "a", "model": f"{adapter}@v1"}, {"name": "b", "model": adapter}]
    return {"name": name, "arms": arms, "owner": "acme", "start": True}


@asynccontextmanager
async def a_real_site(folder: Path, **settings: Any) -> AsyncIterator[RealSite]:
    """Tenants ``acme`` and ``root``, who is an admin, and an adapter ``finance`` of acme's."""
    bench = await Bench(f"sqlite+aiosqlite:///{folder}/registry.db").start()
    bench.clock.now = time.time()  # as the gateway has it
    await bench.declare()
    await bench.register("finance", owner="acme")
    site = RealSite(bench, folder / "usage", **settings)
    await until(lambda: site.gateway.ready)
    try:
        yield site
    finally:
        await site.gateway.close()
        await asyncio.sleep(0)
        await bench.control.close()
