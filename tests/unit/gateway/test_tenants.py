"""Tenants and keys over HTTP, with a real control behind the gateway."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.real_control import ACME_KEY, ADMIN_KEY, RealSite, a_real_site

CHAT = "/v1/chat/completions"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "finance"}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        yield site


async def a_key(site: RealSite, **body: Any) -> dict[str, Any]:
    made = await site.ask("POST", "/admin/v1/keys", json=body)
    assert made.status_code == 201, made.text
    record: dict[str, Any] = made.json()
    return record


async def test_a_customer_from_first_to_last(site: RealSite) -> None:
    tenant = {"default_adapter": "finance", "limits": {"requests_per_minute": 600}}
    made = await site.ask("PUT", "/admin/v1/tenants/newco", json=tenant)
    assert (made.status_code, made.json()["adapters"]) == (201, ["finance"])
    response = await site.ask(
        "POST", "/admin/v1/keys", json={"tenant": "newco", "label": "their app"}
    )
    assert response.headers["cache-control"] == "no-store"
    key = response.json()
    assert (await site.ask("POST", CHAT, key["key"], HELLO)).status_code == 200
    models = await site.ask("GET", "/v1/models", key["key"])
    assert [model["id"] for model in models.json()["data"]] == ["demo@finance"]
    gone = await site.ask("DELETE", f"/admin/v1/keys/{key['id']}")
    assert (gone.status_code, gone.json()["state"]) == (200, "revoked")
    assert (await site.ask("POST", CHAT, key["key"], HELLO)).status_code == 401
    left = await site.ask("DELETE", "/admin/v1/tenants/newco")
    assert left.json() == {"id": "newco", "object": "tenant.deleted", "deleted": True}
    assert (await site.ask("GET", "/admin/v1/tenants/newco")).status_code == 404


async def test_a_rotated_key_and_the_one_before_both_open(site: RealSite) -> None:
    first = await a_key(site, tenant="acme")
    turned = await site.ask("POST", f"/admin/v1/keys/{first['id']}/rotate")
    assert (turned.status_code, turned.headers["cache-control"]) == (201, "no-store")
    for key in (first["key"], turned.json()["key"]):
        assert (await site.ask("POST", CHAT, key, HELLO)).status_code == 200


async def test_a_key_rotated_without_overlap_is_over_at_once(site: RealSite) -> None:
    first = await a_key(site, tenant="acme")
    at_once = {"overlap_s": 0}
    turned = await site.ask("POST", f"/admin/v1/keys/{first['id']}/rotate", json=at_once)
    assert (await site.ask("POST", CHAT, first["key"], HELLO)).status_code == 401
    assert (await site.ask("POST", CHAT, turned.json()["key"], HELLO)).status_code == 200


async def test_a_disabled_tenant_is_refused_whatever_it_asks(site: RealSite) -> None:
    await site.ask("PUT", "/admin/v1/tenants/newco", json={"base": True})
    key = (await a_key(site, tenant="newco", scopes=["admin"]))["key"]
    assert (await site.ask("GET", "/admin/v1/tenants", key)).status_code == 200
    await site.ask("PUT", "/admin/v1/tenants/newco", json={"base": True, "enabled": False})
    for path in ("/admin/v1/tenants", "/v1/models"):
        refused = await site.ask("GET", path, key)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "tenant_disabled")


async def test_a_grant_opens_an_adapter_to_another_tenant(site: RealSite) -> None:
    await site.ask("PUT", "/admin/v1/tenants/newco", json={})
    key = (await a_key(site, tenant="newco"))["key"]
    assert (await site.ask("POST", CHAT, key, HELLO)).status_code == 404
    granted = await site.ask("PUT", "/admin/v1/grants/finance/newco")
    assert granted.json()["id"] == "finance/newco"
    assert (await site.ask("POST", CHAT, key, HELLO)).status_code == 200
    assert len((await site.ask("GET", "/admin/v1/grants?tenant=newco")).json()["data"]) == 1
    await site.ask("DELETE", "/admin/v1/grants/finance/newco")
    assert (await site.ask("POST", CHAT, key, HELLO)).status_code == 404


async def test_every_change_is_in_the_audit_log_and_no_key_is(site: RealSite) -> None:
    await site.ask("PUT", "/admin/v1/tenants/newco", json={})
    made = await a_key(site, tenant="newco", label="x")
    await site.ask("PUT", f"/admin/v1/keys/{made['id']}", json={"label": "y"})
    await site.ask("PUT", "/admin/v1/limits/newco", json={"tokens_per_day": 9})
    await site.ask("DELETE", f"/admin/v1/keys/{made['id']}")
    audit = await site.ask("GET", "/admin/v1/audit")
    actions = [deed["action"] for deed in reversed(audit.json()["data"])]
    assert actions[-5:] == ["make_tenant", "make_key", "change_key", "put_limits", "revoke_key"]
    assert made["key"] not in audit.text


BAD: dict[str, tuple[str, str, Any, str]] = {
    "a field there is not": ("PUT", "tenants/x", {"colour": "red"}, "colour"),
    "a weight of nothing": ("PUT", "tenants/x", {"weight": 0}, "weight"),
    "a limit below nothing": (
        *("PUT", "tenants/x", {"limits": {"tokens_per_day": -1}}),
        "limits.tokens_per_day",
    ),
    "a limit there is not": ("PUT", "limits/x", {"wishes": 3}, "wishes"),
    "a scope there is not": ("POST", "keys", {"tenant": "acme", "scopes": ["all"]}, "scopes.0"),
    "no scope": ("POST", "keys", {"tenant": "acme", "scopes": []}, "scopes"),
    "no tenant": ("POST", "keys", {}, "tenant"),
    "a name that is none": ("PUT", "tenants/No%20Name", {}, "tenant"),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_body_is_refused_by_its_field(site: RealSite, case: str) -> None:
    method, path, body, param = BAD[case]
    refused = await site.ask(method, f"/admin/v1/{path}", json=body)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, param)


@pytest.mark.parametrize("key", [ACME_KEY, "made"])
async def test_the_admin_api_is_for_admin_keys_alone(site: RealSite, key: str) -> None:
    if key == "made":
        scopes = ["inference", "adapters:manage", "usage:read"]
        key = (await a_key(site, tenant="root", scopes=scopes))["key"]
    routes = [
        (method.upper(), path)
        for path, methods in site.app.openapi()["paths"].items()
        for method in methods
        if path.startswith("/admin/")
    ]
    assert len(routes) > 12
    for method, path in routes:
        refused = await site.ask(method, path.replace("{", "").replace("}", ""), key, {})
        assert refused.status_code == 403, path
        assert refused.json()["error"]["code"] == "permission_denied"
    assert (await site.ask("GET", "/admin/v1/tenants", ADMIN_KEY)).status_code == 200
