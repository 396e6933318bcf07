from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from serve_app.adapters.commands import (
    Actor,
    Answer,
    Command,
    List,
    PutAlias,
    Register,
    Remove,
    RemoveAlias,
    Rollback,
    Show,
    ShowAudit,
    ShowVersions,
)
from serve_app.errors import AdapterRefused
from tests.unit.fake_gateway import ACME_KEY, ROOT_KEY, Site, a_site

ROOT = Actor("root", admin=True, manages=True, may_use=frozenset("*"))


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with a_site() as site:
        yield site


async def ask(site: Site, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"authorization": f"Bearer {ROOT_KEY}"}
    return await site.client.request(method, path, json=body, headers=headers)


REGISTER = {"lora_name": "new", "lora_path": "/adapters/new"}
COMMANDS: dict[str, tuple[str, str, Any, Command]] = {
    "registering": ("POST", "/v1/lora/register", REGISTER, Register(ROOT, "new", "/adapters/new")),
    "registering with everything": (
        "POST",
        "/v1/lora/register",
        REGISTER
        | {
            "owner": "acme",
            "grants": ["bare"],
            "description": "d",
            "labels": {"team": "x"},
            "preload": True,
            "pin": False,
            "digest": "0" * 64,
            "wait": False,
        },
        Register(
            *(ROOT, "new", "/adapters/new", "acme", frozenset({"bare"}), "d", {"team": "x"}),
            *(True, False, "0" * 64, False),
        ),
    ),
    "registering as vLLM would": (
        "POST",
        "/v1/load_lora_adapter",
        REGISTER | {"load_inplace": True},
        Register(ROOT, "new", "/adapters/new"),
    ),
    "removing as vLLM would": (
        "POST",
        "/v1/unload_lora_adapter",
        {"lora_name": "finance", "lora_int_id": 3},
        Remove(ROOT, "finance"),
    ),
    "removing": ("DELETE", "/v1/lora/finance", None, Remove(ROOT, "finance")),
    "listing": ("GET", "/v1/lora", None, List(ROOT)),
    "a page": ("GET", "/v1/lora?limit=2&after=a", None, List(ROOT, 2, "a")),
    "showing": ("GET", "/v1/lora/finance", None, Show(ROOT, "finance")),
    "versions": ("GET", "/v1/lora/finance/versions", None, ShowVersions(ROOT, "finance")),
    "rolling back": ("POST", "/v1/lora/finance/rollback", None, Rollback(ROOT, "finance")),
    "rolling back to a number": (
        "POST",
        "/v1/lora/finance/rollback",
        {"version": 1},
        Rollback(ROOT, "finance", "v1"),
    ),
    "an alias": (
        "PUT",
        "/v1/lora/finance/aliases/stable",
        {"version": "v2"},
        PutAlias(ROOT, "finance", "stable", "v2"),
    ),
    "an alias of what is in force": (
        "PUT",
        "/v1/lora/finance/aliases/stable",
        None,
        PutAlias(ROOT, "finance", "stable"),
    ),
    "no alias any more": (
        "DELETE",
        "/v1/lora/finance/aliases/stable",
        None,
        RemoveAlias(ROOT, "finance", "stable"),
    ),
    "the audit log": ("GET", "/admin/v1/audit?after=7", None, ShowAudit(ROOT, after=7)),
}


@pytest.mark.parametrize("case", COMMANDS)
async def test_control_is_asked_for(site: Site, case: str) -> None:
    method, path, body, command = COMMANDS[case]
    response = await ask(site, method, path, body)
    assert response.status_code == 200, response.text
    assert site.control.commands == [command]


async def test_success_under_vllms_names_is_said_in_vllms_words(site: Site) -> None:
    added = await ask(site, "POST", "/v1/load_lora_adapter", REGISTER)
    removed = await ask(site, "POST", "/v1/unload_lora_adapter", {"lora_name": "new"})
    assert added.text == "Success: LoRA adapter 'new' added successfully."
    assert removed.text == "Success: LoRA adapter 'new' removed successfully."


@pytest.mark.parametrize("path", ["/v1/lora/register", "/v1/load_lora_adapter"])
async def test_controls_refusal_is_the_clients_answer(site: Site, path: str) -> None:
    async def refuse(_command: Command) -> Answer:
        error = AdapterRefused("too large a rank", code="adapter_rank_too_large")
        return Answer(error.status, error.envelope(), headers=dict(error.headers))

    site.control.answer = refuse
    response = await ask(site, "POST", path, REGISTER)
    assert (response.status_code, response.headers["x-should-retry"]) == (422, "false")
    assert response.json()["error"]["code"] == "adapter_rank_too_large"
    assert site.metrics.requests[-1][1] == "adapter_rank_too_large"


async def test_control_that_is_away_is_a_503(site: Site) -> None:
    site.control.away = True
    response = await ask(site, "POST", "/v1/lora/register", REGISTER)
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "registry_unavailable"


BAD: dict[str, tuple[str, str, Any, str]] = {
    "no path": ("POST", "/v1/lora/register", {"lora_name": "x"}, "lora_path"),
    "an unknown field": ("POST", "/v1/lora/register", REGISTER | {"admin": True}, "admin"),
    "a short digest": ("POST", "/v1/lora/register", REGISTER | {"digest": "abc"}, "digest"),
    "labels of a wrong type": ("POST", "/v1/lora/register", REGISTER | {"labels": [1]}, "labels"),
    "an empty page": ("GET", "/v1/lora?limit=0", None, "limit"),
    "a version of a wrong type": (
        "POST",
        "/v1/lora/finance/rollback",
        {"version": [1]},
        "version",
    ),
    "an unknown field of vLLM's body": (
        "POST",
        "/v1/unload_lora_adapter",
        {"lora_name": "x", "force": True},
        "force",
    ),
}


@pytest.mark.parametrize("case", BAD)
async def test_a_bad_field_is_a_400_that_names_it(site: Site, case: str) -> None:
    method, path, body, param = BAD[case]
    response = await ask(site, method, path, body)
    assert (response.status_code, response.json()["error"]["param"]) == (400, param)
    assert site.control.commands == []


async def test_who_calls_is_decided_by_the_key_alone(site: Site) -> None:
    assert (await site.get("/v1/lora", ACME_KEY)).status_code == 200
    assert site.control.commands == [List(Actor("acme", may_use=frozenset({"finance"})))]


async def test_the_audit_log_is_closed_to_tenants(site: Site) -> None:
    assert (await site.get("/admin/v1/audit", ACME_KEY)).status_code == 403
    assert site.control.commands == []


async def test_a_body_that_is_too_large_is_refused_here_too() -> None:
    async with a_site(max_body_bytes=100) as site:
        for content in (b"{" + b" " * 200, _chunks()):
            response = await site.client.post(
                "/v1/lora/register",
                content=content,
                headers={"authorization": f"Bearer {ROOT_KEY}", "content-type": "application/json"},
            )
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (413, "request_too_large")


async def _chunks() -> AsyncIterator[bytes]:
    for _ in range(50):
        yield b" " * 10
