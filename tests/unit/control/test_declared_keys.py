"""Keys the configuration declares, with terms of their own, on real databases."""

from datetime import UTC, datetime
from typing import Any

import pytest

from serve_app.tenancy.commands import (
    ChangeKey,
    ListKeys,
    RevokeKey,
    RotateKey,
    ShowKey,
    ShowTenant,
    TenantCommand,
)
from serve_app.tenancy.keys import Key, Scope, fingerprint
from serve_app.tenancy.limits import Limits
from tests.unit.control.bench import ADMIN, PEPPER, Bench
from tests.unit.control.desk import a_key, done, known, refused

CI = {
    "key": "sk-ci",
    "label": "ci",
    "scopes": ["inference"],
    "limits": {"requests_per_minute": 60},
}


async def _declare(bench: Bench, *keys: Any, **tenant: Any) -> None:
    await bench.configure({"tenants": [{"id": "acme", "keys": list(keys), **tenant}]})


async def _key(bench: Bench, word: str = "sk-ci") -> Key:
    found: Key = (await known(bench)).keys[fingerprint(word, PEPPER)]
    return found


def _iso(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).isoformat()


@pytest.mark.parametrize(
    ("tenant", "scopes"),
    [
        ({}, {Scope.INFERENCE, Scope.USAGE_READ}),
        (
            {"manages_adapters": True},
            {Scope.INFERENCE, Scope.USAGE_READ, Scope.ADAPTERS_MANAGE},
        ),
        ({"admin": True}, {Scope.INFERENCE, Scope.USAGE_READ, Scope.ADMIN}),
    ],
)
async def test_a_key_that_names_no_scopes_has_those_of_its_tenant(
    bench: Bench, tenant: Any, scopes: set[Scope]
) -> None:
    await _declare(bench, "sk-plain", {"key": "sk-ci", "label": "ci"}, **tenant)
    for word in ("sk-plain", "sk-ci"):
        assert (await _key(bench, word)).scopes == scopes


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("admin", [False, True])
async def test_a_key_has_the_scopes_it_names_and_no_other_as_one_made_by_api(
    bench: Bench, scope: Scope, admin: bool
) -> None:
    await _declare(bench, {"key": "sk-ci", "scopes": [scope.value]}, admin=admin)
    made = await a_key(bench, "acme", scopes=frozenset({scope}))
    assert made["scopes"] == [scope]
    assert (await _key(bench)).scopes == {scope}


async def test_a_key_ends_when_it_says(bench: Bench) -> None:
    ends = bench.clock.now + 60
    await _declare(bench, "sk-plain", {**CI, "expires_at": _iso(ends)})
    key = await _key(bench)
    assert key.expires == ends
    assert (await done(bench, ShowKey(ADMIN, key.id)))["state"] == "active"
    assert (await done(bench, ShowTenant(ADMIN, "acme")))["keys"] == 2
    await bench.passes(60)
    told = await done(bench, ShowKey(ADMIN, key.id))
    assert (told["state"], told["expires"]) == ("expired", ends)
    assert (await done(bench, ShowTenant(ADMIN, "acme")))["keys"] == 1


async def test_what_is_declared_of_a_key_is_listed_and_the_key_is_not(bench: Bench) -> None:
    await _declare(bench, "sk-plain", CI)
    page = (await done(bench, ListKeys(ADMIN, "acme")))["data"]
    assert page == sorted(page, key=lambda one: one["id"])
    assert all(one["declared"] for one in page)
    told = {
        one["label"]: (one["scopes"], one["limits"], one["expires"], one["state"]) for one in page
    }
    assert told == {
        "": (["inference", "usage:read"], {}, None, "active"),
        "ci": (["inference"], {"requests_per_minute": 60}, None, "active"),
    }
    assert "sk-" not in repr(page)


@pytest.mark.parametrize("kind", [RevokeKey, RotateKey, ChangeKey])
async def test_the_api_changes_nothing_of_a_declared_key(
    bench: Bench, kind: type[RevokeKey | RotateKey | ChangeKey]
) -> None:
    await _declare(bench, CI)
    before = await _key(bench)
    command: TenantCommand = kind(ADMIN, before.id)
    answer = await bench.control.manage(command)
    assert answer.status == 409
    assert answer.body["error"]["code"] == "key_declared"
    assert "declared in the configuration; change it there" in answer.body["error"]["message"]
    assert await _key(bench) == before


async def test_its_id_stays_whatever_else_of_it_changes(bench: Bench) -> None:
    await _declare(bench, "sk-plain", CI)
    id_ = (await _key(bench)).id
    for keys in (("sk-ci",), ({**CI, "label": "other"}, "sk-new", "sk-plain")):
        await _declare(bench, *keys)
        assert (await _key(bench)).id == id_
    await bench.restart()
    await _declare(bench, CI)
    assert (await _key(bench)).id == id_


async def test_new_terms_are_in_force_at_once(bench: Bench) -> None:
    await _declare(bench, CI, "sk-plain")
    updates = bench.control.follow(tenants=True)
    id_ = (await _key(bench)).id
    await anext(updates)
    news = {"label": "nightly", "scopes": ["usage:read"], "limits": {"tokens_per_day": 9}}
    await _declare(bench, {"key": "sk-ci", **news}, "sk-plain")
    told = (await anext(updates)).keys
    assert told == {
        fingerprint("sk-ci", PEPPER): Key(
            id_, "acme", frozenset({Scope.USAGE_READ}), None, Limits(tokens_per_day=9)
        )
    }
    shown = await done(bench, ShowKey(ADMIN, id_))
    assert (shown["label"], shown["scopes"], shown["limits"]) == (
        *("nightly", ["usage:read"]),
        {"tokens_per_day": 9},
    )


async def test_a_key_declared_no_more_opens_nothing(bench: Bench) -> None:
    await _declare(bench, CI, "sk-plain")
    id_ = (await _key(bench)).id
    await _declare(bench, "sk-plain")
    assert fingerprint("sk-ci", PEPPER) not in (await known(bench)).keys
    assert await refused(bench, ShowKey(ADMIN, id_)) == "404 key_not_found"
