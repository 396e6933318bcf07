"""A real gateway and its ASGI application, over scripted replicas and inside Serve's middleware."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
from ray.serve._private.http_util import RequestIdMiddleware

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.gateway.app import create_app
from serve_app.gateway.gateway import Gateway
from serve_app.gateway.registry import Registry
from serve_app.routing.policy import Delay
from serve_app.settings import GatewaySettings
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.keys import Key, Keyring, Scope, cache_salt, fingerprint
from serve_app.tenancy.roll import Roll
from serve_app.tenancy.snapshot import Snapshot
from serve_app.tenancy.tenant import EVERY_ADAPTER, Tenant
from tests.unit.fake_control import FakeControl
from tests.unit.fakes import FakeReplicas, a_version, until

PEPPER = b"pepper"
BASE = "demo-llama"
ACME_KEY, ROOT_KEY, BARE_KEY = "sk-acme-secret", "sk-root-secret", "sk-bare-secret"
CHAT = "/v1/chat/completions"


def _tenant(id_: str, *adapters: str, default: str | None, root: bool = False) -> Tenant:
    return Tenant(id_, frozenset(adapters), default, root, cache_salt(id_, PEPPER))


TENANTS = {
    ACME_KEY: _tenant("acme", "finance", default="finance"),
    ROOT_KEY: _tenant("root", EVERY_ADAPTER, default=None, root=True),
    BARE_KEY: _tenant("bare", default=None),
}


def the_roll() -> Roll:
    scopes = {ROOT_KEY: frozenset({Scope.ADMIN})}
    inference = frozenset({Scope.INFERENCE})
    return Roll(
        tenants={tenant.id: tenant for tenant in TENANTS.values()},
        keys={
            fingerprint(key, PEPPER): Key(f"key-{tenant.id}", tenant.id, scopes.get(key, inference))
            for key, tenant in TENANTS.items()
        },
    )


def an_entry(adapter: str) -> Entry:
    return Entry(adapter, {1: a_version(adapter)}, current=1, created=1_700_000_000)


def a_snapshot(*adapters: str) -> Snapshot:
    roll = the_roll()
    return Snapshot(
        base=BASE,
        keyring=Keyring(roll.keys, PEPPER),
        tenants=roll.tenants,
        catalog=Catalog.of({adapter: an_entry(adapter) for adapter in adapters}),
    )


class RecordedMetrics(GatewayMetrics):
    """Keeps what was counted.

    Attributes:
        requests: tenant and outcome of each, with its tokens and time to first byte.
        placements: why each call's replica was chosen.
        waits: what each call was expected to wait in all, and did if it was streamed.
        relief: refusals, copies and early fetches, in order.
        records: of usage, that control has.
        limited_by: what each refusal by a limit was of.
        arms: the arm of each request that had one.
        shadows: what became of each copy for a shadow.
    """

    def __init__(self) -> None:
        self.requests: list[tuple[str | None, str, int, int, float | None]] = []
        self.placements: list[str] = []
        self.waits: list[tuple[float, float | None]] = []
        self.relief: list[str] = []
        self.waits_now = 0
        self.records = 0
        self.limited_by: list[tuple[str, str]] = []
        self.arms: list[str] = []
        self.shadows: list[str] = []

    def answered(
        self,
        tenant: str | None,
        outcome: str,
        prompt_tokens: int = 0,
        completion_tokens: int = 0,
        cached_tokens: int = 0,
        first_byte_s: float | None = None,
    ) -> None:
        self.requests.append((tenant, outcome, prompt_tokens, completion_tokens, first_byte_s))

    def assigned(self, experiment: str, arm: str) -> None:
        self.arms.append(f"{experiment}/{arm}")

    def shadowed(self, experiment: str, outcome: str) -> None:
        self.shadows.append(outcome)

    def placed(self, reason: str) -> None:
        self.placements.append(reason)

    def expected(self, delay: Delay, first_byte_s: float | None) -> None:
        self.waits.append((delay.total_s, first_byte_s))

    def recorded(self, records: int) -> None:
        self.records += records

    def spooled(self, records: int) -> None: ...

    def usage_lost(self, records: int) -> None:
        self.records -= records

    def waiting(self, requests: int) -> None:
        self.waits_now = requests

    def queued(self, tenant: str, seconds: float) -> None:
        self.relief.append("queued")

    def limited(self, subject: str, limit: str) -> None:
        self.limited_by.append((subject, limit))

    def shed(self, tenant: str) -> None:
        self.relief.append("shed")

    def copied(self) -> None:
        self.relief.append("copied")

    def prefetched(self, useful: bool) -> None:
        self.relief.append("prefetched" if useful else "prefetched in vain")


class Site:
    """The application and its client."""

    def __init__(self, replicas: FakeReplicas, limits: GatewaySettings, folder: Path) -> None:
        self.replicas = replicas
        self.metrics = RecordedMetrics()
        self.control = FakeControl(
            the_roll(), {name: an_entry(name) for name in ("finance", "legal")}
        )
        registry = Registry(self.control, BASE, PEPPER)
        self.gateway = Gateway(replicas, registry, limits, self.metrics, folder)
        self.app = RequestIdMiddleware(
            create_app(self.gateway, self.metrics, limits.max_body_bytes)
        )
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        self.client = httpx.AsyncClient(transport=transport, base_url="http://gateway")

    async def post(
        self,
        path: str = CHAT,
        key: str = ACME_KEY,
        headers: dict[str, str] | None = None,
        **body: Any,
    ) -> httpx.Response:
        headers = {"authorization": f"Bearer {key}"} | (headers or {})
        return await self.client.post(path, headers=headers, content=orjson.dumps(body))

    async def get(self, path: str, key: str = ACME_KEY) -> httpx.Response:
        return await self.client.get(path, headers={"authorization": f"Bearer {key}"})


@asynccontextmanager
async def a_site(replicas: FakeReplicas | None = None, **limits: Any) -> AsyncIterator[Site]:
    """A site whose replicas, if there are any, have been heard."""
    replicas = replicas if replicas is not None else FakeReplicas("r1", "r2")
    folder = tempfile.TemporaryDirectory()
    site = Site(replicas, GatewaySettings(**limits), Path(folder.name))
    fleet = site.gateway._buses.fleet
    await until(lambda: fleet.answering() == len(replicas.running))
    await until(lambda: site.gateway.registry.snapshot)
    try:
        yield site
    finally:
        await site.gateway.close()
        folder.cleanup()
    assert fleet.outstanding() == 0, "a booking is left"
    assert site.gateway._buses._mailboxes == {}, "a mailbox is left"


class Browser:
    """A client on the ASGI level: sees each message as it is sent, may hang up at any time.

    Attributes:
        broken: its connection cannot be written to.
    """

    def __init__(
        self, site: Site, body: dict[str, Any], key: str = ACME_KEY, pieces: int = 1
    ) -> None:
        self.broken = False
        self.messages: list[MutableMapping[str, Any]] = []
        raw = orjson.dumps(body)
        size = -(-len(raw) // pieces)
        self._pieces = [raw[at : at + size] for at in range(0, len(raw), size)]
        self._said = 0
        self._scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "path": CHAT,
            "raw_path": CHAT.encode(),
            "query_string": b"",
            "headers": [
                (b"authorization", f"Bearer {key}".encode()),
                (b"content-length", str(len(raw)).encode()),
            ],
            "client": ("127.0.0.1", 1),
            "server": ("gateway", 80),
            "scheme": "http",
        }
        self.request = asyncio.create_task(site.app(self._scope, self._receive, self._send))

    @property
    def head(self) -> int | None:
        return self.messages[0]["status"] if self.messages else None

    @property
    def text(self) -> bytes:
        return b"".join(message.get("body", b"") for message in self.messages)

    def hang_up(self) -> None:
        """As Serve lets a request know that its client has gone."""
        self.request.cancel()

    async def _receive(self) -> MutableMapping[str, Any]:
        if self._said == len(self._pieces):
            await asyncio.sleep(3600)
        self._said += 1
        more = self._said < len(self._pieces)
        return {"type": "http.request", "body": self._pieces[self._said - 1], "more_body": more}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self.broken:
            raise OSError("broken pipe")
        self.messages.append(message)
