"""Keys the configuration declares, over HTTP, with a real control behind the gateway."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from tests.unit.fakes import until
from tests.unit.real_control import ADMIN_KEY, RealSite, a_real_site

CHAT, ADMIN = "/v1/chat/completions", "/admin/v1/keys"
HELLO = {"messages": [{"role": "user", "content": "hello"}], "model": "finance"}
CALLS: dict[str, tuple[str, str, Any]] = {
    "inference": ("POST", CHAT, HELLO),
    "usage:read": ("GET", "/v1/usage", None),
    "adapters:manage": (
        *("POST", "/v1/lora/register"),
        {"lora_name": "mine", "lora_path": "/mine"},
    ),
    "admin": ("GET", ADMIN, None),
}


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path) as site:
        yield site


async def _declare(site: RealSite, *keys: Any, **acme: Any) -> None:
    """Acme with these keys, and an admin; come back once the gateway has them."""
    root = {"id": "root", "keys": [ADMIN_KEY], "admin": True}
    await site.bench.configure({"tenants": [{"id": "acme", "keys": list(keys), **acme}, root]})
    revision = site.bench.control.revision
    await until(lambda: site.gateway.registry._follower.revision >= revision)


async def _status(site: RealSite, key: str, call: str = "inference") -> int:
    method, path, body = CALLS[call]
    return (await site.ask(method, path, key, body)).status_code


@pytest.mark.parametrize("scope", CALLS)
async def test_a_key_opens_what_its_scopes_name_and_nothing_else(
    site: RealSite, scope: str
) -> None:
    await _declare(site, {"key": "sk-ci", "scopes": [scope]}, admin=True)
    for call in CALLS:
        status = await _status(site, "sk-ci", call)
        assert (status < 300) == (call == scope or scope == "admin"), call
        assert status in (200, 201, 403)


async def test_an_expired_key_is_refused_as_one_that_nobody_has(site: RealSite) -> None:
    over, coming = "2020-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    await _declare(site, {"key": "sk-old", "expires_at": over}, {"key": "sk", "expires_at": coming})
    assert await _status(site, "sk") == 200
    refused = await site.ask("POST", CHAT, "sk-old", HELLO)
    unknown = await site.ask("POST", CHAT, "sk-none", HELLO)
    for answer in (refused, unknown):
        answer.headers.pop("x-request-id")
    assert refused.status_code == 401
    assert (refused.content, refused.headers) == (unknown.content, unknown.headers)


async def test_limits_of_a_key_are_its_own(site: RealSite) -> None:
    limited = {"key": "sk-ci", "limits": {"requests_per_minute": 1, "max_tokens": 5}}
    await _declare(site, limited, "sk-plain")
    large = await site.ask("POST", CHAT, "sk-ci", {**HELLO, "max_tokens": 6})
    assert (large.status_code, large.json()["error"]["param"]) == (400, "max_tokens")
    assert [await _status(site, "sk-ci") for _ in range(2)] == [200, 429]
    assert [await _status(site, "sk-plain") for _ in range(2)] == [200, 200]


async def test_terms_that_change_in_the_configuration_hold_at_once(site: RealSite) -> None:
    await _declare(site, {"key": "sk-ci", "limits": {"requests_per_minute": 1}})
    assert [await _status(site, "sk-ci") for _ in range(2)] == [200, 429]
    await _declare(site, {"key": "sk-ci", "limits": {"requests_per_minute": 3}})
    assert [await _status(site, "sk-ci") for _ in range(3)] == [200, 200, 429]
    await _declare(site, {"key": "sk-ci", "scopes": ["usage:read"]})
    assert await _status(site, "sk-ci") == 403
    await _declare(site, {"key": "sk-ci", "expires_at": "2020-01-01T00:00:00Z"})
    assert await _status(site, "sk-ci") == 401
    await _declare(site, {"key": "sk-ci"})
    assert await _status(site, "sk-ci") == 200


async def test_a_declared_key_is_shown_and_cannot_be_changed(site: RealSite) -> None:
    await _declare(site, {"key": "sk-ci", "label": "ci", "scopes": ["inference"]})
    listed = (await site.ask("GET", f"{ADMIN}?tenant=acme")).json()["data"]
    assert [(one["label"], one["scopes"], one["declared"]) for one in listed] == [
        ("ci", ["inference"], True)
    ]
    one = f"{ADMIN}/{listed[0]['id']}"
    assert (await site.ask("GET", one)).json() == listed[0]
    for method, path, body in (
        ("PUT", one, {"label": "x"}),
        ("DELETE", one, None),
        ("POST", f"{one}/rotate", None),
    ):
        refused = await site.ask(method, path, json=body)
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "key_declared")
    assert await _status(site, "sk-ci") == 200
