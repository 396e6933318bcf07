"""Who may use which route: every route of the OpenAPI document, with every kind of key."""

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from serve_app.tenancy.usage import Batch
from tests.unit.api_document import Route, must_be_envelope, routes
from tests.unit.control.desk import a_record
from tests.unit.real_control import ADMIN_KEY, RealSite, a_real_site, an_experiment

SCOPES = {
    "inference": "inference",
    "manager": "adapters:manage",
    "reader": "usage:read",
    "admin": "admin",
}
STRANGERS = ("no key", "no scheme", "unknown", "mistyped", "revoked", "expired")
EVERY_ROLE = (*STRANGERS, "disabled", *SCOPES)

OPEN = frozenset(EVERY_ROLE)
INFERENCE = frozenset({"inference", "admin"})
ADAPTERS_SEEN = frozenset({"inference", "manager", "admin"})
ADAPTERS_MANAGED = frozenset({"manager", "admin"})
JUDGING = frozenset({"inference", "admin"})
OWN_USAGE = frozenset({"reader", "admin"})
ADMIN = frozenset({"admin"})

MAY = {
    "POST /v1/chat/completions": INFERENCE,
    "POST /v1/completions": INFERENCE,
    "POST /v1/embeddings": INFERENCE,
    "POST /v1/responses": INFERENCE,
    "POST /tokenize": INFERENCE,
    "POST /detokenize": INFERENCE,
    "GET /v1/models": INFERENCE,
    "GET /v1/models/{model}": INFERENCE,
    "GET /v1/lora": ADAPTERS_SEEN,
    "GET /v1/lora/{name}": ADAPTERS_SEEN,
    "GET /v1/lora/{name}/versions": ADAPTERS_SEEN,
    "POST /v1/lora/register": ADAPTERS_MANAGED,
    "POST /v1/lora/{name}/rollback": ADAPTERS_MANAGED,
    "PUT /v1/lora/{name}/aliases/{alias}": ADAPTERS_MANAGED,
    "DELETE /v1/lora/{name}/aliases/{alias}": ADAPTERS_MANAGED,
    "DELETE /v1/lora/{name}": ADAPTERS_MANAGED,
    "POST /v1/load_lora_adapter": ADAPTERS_MANAGED,
    "POST /v1/unload_lora_adapter": ADAPTERS_MANAGED,
    "GET /v1/experiments": ADAPTERS_SEEN,
    "GET /v1/experiments/{experiment}": ADAPTERS_SEEN,
    "GET /v1/experiments/{experiment}/results": ADAPTERS_SEEN,
    "GET /v1/experiments/{experiment}/answers": ADAPTERS_MANAGED,
    "GET /v1/experiments/{experiment}/feedback": ADAPTERS_MANAGED,
    "POST /v1/experiments": ADAPTERS_MANAGED,
    "PATCH /v1/experiments/{experiment}": ADAPTERS_MANAGED,
    "DELETE /v1/experiments/{experiment}": ADAPTERS_MANAGED,
    "POST /v1/experiments/{experiment}/start": ADAPTERS_MANAGED,
    "POST /v1/experiments/{experiment}/pause": ADAPTERS_MANAGED,
    "POST /v1/experiments/{experiment}/ramp": ADAPTERS_MANAGED,
    "POST /v1/experiments/{experiment}/stop": ADAPTERS_MANAGED,
    "POST /v1/experiments/{experiment}/promote": ADAPTERS_MANAGED,
    "POST /v1/feedback": JUDGING,
    "GET /v1/usage": OWN_USAGE,
    "GET /admin/v1/fleet": ADMIN,
    "GET /admin/v1/audit": ADMIN,
    "GET /admin/v1/usage": ADMIN,
    "GET /admin/v1/tenants": ADMIN,
    "GET /admin/v1/tenants/{tenant}": ADMIN,
    "PUT /admin/v1/tenants/{tenant}": ADMIN,
    "DELETE /admin/v1/tenants/{tenant}": ADMIN,
    "GET /admin/v1/limits/{tenant}": ADMIN,
    "PUT /admin/v1/limits/{tenant}": ADMIN,
    "GET /admin/v1/grants": ADMIN,
    "PUT /admin/v1/grants/{adapter}/{tenant}": ADMIN,
    "DELETE /admin/v1/grants/{adapter}/{tenant}": ADMIN,
    "GET /admin/v1/keys": ADMIN,
    "POST /admin/v1/keys": ADMIN,
    "GET /admin/v1/keys/{key}": ADMIN,
    "PUT /admin/v1/keys/{key}": ADMIN,
    "DELETE /admin/v1/keys/{key}": ADMIN,
    "POST /admin/v1/keys/{key}/rotate": ADMIN,
    "GET /health": OPEN,
    "GET /ready": OPEN,
    "GET /version": OPEN,
}
"""A route that is not here fails: whoever adds one says here who may use it."""

ROUTES = {route.name: route for route in routes()}
BODIES: dict[str, Any] = {
    "POST /v1/lora/register": {"lora_name": "another", "lora_path": "/b"},
    "POST /v1/load_lora_adapter": {"lora_name": "another", "lora_path": "/b"},
    "POST /v1/unload_lora_adapter": {"lora_name": "another"},
    "POST /admin/v1/keys": {"tenant": "acme"},
    "POST /v1/experiments": an_experiment("another-trial", "compared"),
    "PATCH /v1/experiments/{experiment}": {"weights": {"b": 2}},
    "POST /v1/experiments/{experiment}/ramp": {"arm": "b", "share": 0.2},
    "POST /v1/experiments/{experiment}/promote": {"arm": "b", "alias": "compared-live"},
    "POST /v1/feedback": {"request_id": "r", "score": 1},
}
NAMES = {
    "experiment": "trial",
    "model": "finance",
    "name": "finance",
    "alias": "stable",
    "adapter": "finance",
    "tenant": "newco",
}


TAKING = ("POST /v1/lora/{name}/rollback", "POST /v1/unload_lora_adapter")


class Doors:
    """A site, a key of each role (all but the disabled one of ``acme``), and ids to name."""

    def __init__(self, site: RealSite) -> None:
        self.site = site
        self.headers: dict[str, dict[str, str]] = {"no key": {}}
        self.names = dict(NAMES)

    async def made(self) -> "Doors":
        unknown = "sk-0123456789ab-" + "0" * 49
        self.headers["no scheme"] = {"authorization": ADMIN_KEY}
        self._holds("unknown", unknown)
        for role, scope in SCOPES.items():
            self._holds(role, (await self._key("acme", scope))["key"])
        self._holds("mistyped", (await self._key("acme", "admin"))["key"].swapcase())
        await self._lost()
        await self._ask("PUT", "tenants/closed", {"enabled": False})
        self._holds("disabled", (await self._key("closed", "admin"))["key"])
        await self.site.bench.control.record(Batch("g", 1, (a_record(tenant="acme"),)))
        await self.restock()
        return self

    async def restock(self) -> None:
        """Make again what another role may have taken away."""
        bench = self.site.bench
        for name in ("another", "compared"):
            await bench.register(name, owner="acme")
        for source in ("/a", "/b"):
            await bench.register("finance", source, owner="acme")
        await bench.alias("finance", "stable")
        for name in ("trial", "another-trial"):
            await self.site.ask("DELETE", f"/v1/experiments/{name}")
        trial = an_experiment("trial", "compared")
        made = await self.site.ask("POST", "/v1/experiments", json=trial)
        assert made.status_code == 201, made.text
        await self._ask("PUT", "tenants/newco", {})
        self.names["key"] = (await self._key("newco", "inference"))["id"]

    async def _lost(self) -> None:
        revoked = await self._key("acme", "admin")
        await self._ask("DELETE", f"keys/{revoked['id']}")
        expired, ended = await self._key("acme", "admin"), int(time.time()) - 1
        terms = {"scopes": ["admin"], "expires": ended}
        await self._ask("PUT", f"keys/{expired['id']}", terms)
        self._holds("revoked", revoked["key"])
        self._holds("expired", expired["key"])

    async def _key(self, tenant: str, scope: str) -> dict[str, Any]:
        return await self._ask("POST", "keys", {"tenant": tenant, "scopes": [scope]})

    async def _ask(self, method: str, path: str, body: Any = None) -> dict[str, Any]:
        answer = await self.site.ask(method, f"/admin/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def _holds(self, role: str, key: str) -> None:
        self.headers[role] = {"authorization": f"Bearer {key}"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def doors(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Doors]:
    folder: Path = tmp_path_factory.mktemp("registry")
    async with a_real_site(folder) as site:
        yield await Doors(site).made()


def test_every_route_has_its_place_in_the_table() -> None:
    assert ROUTES.keys() == MAY.keys()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", MAY)
async def test_a_route_opens_to_those_it_is_for_and_to_nobody_else(doors: Doors, name: str) -> None:
    for role in EVERY_ROLE:
        answer = await _ask(doors, ROUTES[name], role)
        if role in MAY[name]:
            assert answer.is_success, f"{role}: {answer.text}"
            continue
        assert answer.status_code == (401 if role in STRANGERS else 403), f"{role}: {answer.text}"
        must_be_envelope(answer.json())
        assert answer.json()["error"]["code"] == CODES.get(role, "permission_denied"), role


CODES = {"disabled": "tenant_disabled"} | dict.fromkeys(STRANGERS, "invalid_api_key")


async def _ask(doors: Doors, route: Route, role: str) -> httpx.Response:
    body = {"model": "finance"} if MAY[route.name] is INFERENCE else BODIES.get(route.name, {})
    answer = await doors.site.client.request(
        route.method,
        route.at(**doors.names),
        json=body if route.body else None,
        headers=doors.headers[role],
    )
    if answer.is_success and (
        route.method == "DELETE" or route.name in TAKING or "experiment" in route.path
    ):
        await doors.restock()
    return answer
