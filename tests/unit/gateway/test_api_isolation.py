"""One tenant walks the whole API and learns nothing of another: no name, no id, no difference
between what is another's and what is nowhere."""

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from tests.unit.api_document import Route, routes
from tests.unit.gateway.test_api_fields import NEEDED
from tests.unit.real_control import RealSite, a_real_site

SECRETS = ("zebra-corp", "zebra-adapter", "zebra-alias", "zebra-label", "zebra-plan")
TRIAL = ("zebra-trial", "zebra-arm")
SCOPES = ("inference", "adapters:manage", "usage:read")
ROUTES = [route for route in routes() if not route.path.startswith("/admin")]
NAMED = [route for route in ROUTES if "{" in route.path]
INFERENCE = [r for r in ROUTES if r.body is not None and r.body.get("additionalProperties") is True]


class Walk:
    """A site where ``zebra-corp`` has all a tenant can have, and another tenant's keys."""

    def __init__(self, site: RealSite) -> None:
        self.site = site
        self.keys: dict[str, str] = {}
        self.secrets = [*SECRETS, *TRIAL]

    async def begin(self) -> "Walk":
        bench = self.site.bench
        await self._admin("PUT", "tenants/zebra-corp", {"description": "zebra-plan"})
        made = {"tenant": "zebra-corp", "label": "zebra-label", "scopes": ["inference"]}
        theirs = await self._admin("POST", "keys", made)
        self.secrets += [theirs["id"], theirs["key"]]
        await bench.register("zebra-adapter", owner="zebra-corp")
        await bench.alias("zebra-adapter", "zebra-alias")
        arms = [{"name": arm, "model": "zebra-adapter"} for arm in ("zebra-arm", "other")]
        trial = {"name": "zebra-trial", "arms": arms, "owner": "zebra-corp", "start": True}
        answer = await self.site.ask("POST", "/v1/experiments", json=trial)
        assert answer.status_code == 201, answer.text
        for model in ("zebra-adapter", "zebra-trial"):
            asked: Any = {"model": model, "messages": []}
            answer = await self.site.ask("POST", "/v1/chat/completions", theirs["key"], asked)
            assert answer.status_code == 200, "names are right: they mean something to their tenant"
        assert answer.headers["x-serve-arm"] in ("zebra-arm", "other")
        for scope in SCOPES:
            made = {"tenant": "acme", "scopes": [scope]}
            self.keys[scope] = (await self._admin("POST", "keys", made))["key"]
        return self

    async def ask(self, route: Route, scope: str, name: str, model: str) -> httpx.Response:
        names = dict.fromkeys(("name", "model", "experiment"), name) | {"alias": "stable"}
        body = dict(NEEDED.get(route.name, {})) if route.body else None
        if route in INFERENCE:
            body = {"model": model}
        return await self.site.ask(route.method, route.at(**names), self.keys[scope], body)

    async def _admin(self, method: str, path: str, body: Any) -> dict[str, Any]:
        answer = await self.site.ask(method, f"/admin/v1/{path}", json=body)
        assert answer.status_code < 300, answer.text
        made: dict[str, Any] = answer.json()
        return made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def walk(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Walk]:
    async with a_real_site(tmp_path_factory.mktemp("registry")) as site:
        yield await Walk(site).begin()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.name)
async def test_nothing_of_another_tenant_is_in_any_answer(walk: Walk, route: Route) -> None:
    for scope in SCOPES:
        answer = await walk.ask(route, scope, "finance", "finance")
        said = f"{answer.text}\n{answer.headers}"
        assert not [secret for secret in walk.secrets if secret in said], said


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", [*NAMED, *INFERENCE], ids=lambda route: route.name)
async def test_what_is_anothers_is_as_what_is_nowhere(walk: Walk, route: Route) -> None:
    """But for the name, which is the client's own word."""
    for scope in SCOPES:
        for theirs, nowhere in (
            ("zebra-adapter", "never-was-one"),
            ("zebra-adapter@zebra-alias", "never-was-one@never-one-so"),
            ("zebra-alias", "never-one-so"),
            ("zebra-trial", "never-one-so"),
        ):
            seen = await walk.ask(route, scope, theirs, theirs)
            unseen = await walk.ask(route, scope, nowhere, nowhere)
            assert seen.status_code == unseen.status_code
            assert _but_for(theirs, seen.text) == _but_for(nowhere, unseen.text)
            assert _headers(seen, theirs) == _headers(unseen, nowhere)


@pytest.mark.asyncio(loop_scope="module")
async def test_another_tenants_usage_and_metrics_labels_are_not_there(walk: Walk) -> None:
    for query in ("", "?key=" + walk.secrets[-2], "?adapter=zebra-adapter", "?group_by=key"):
        answer = await walk.site.ask("GET", f"/v1/usage{query}", walk.keys["usage:read"])
        assert answer.status_code == 200
        assert "zebra" not in answer.text
        assert walk.secrets[-2] not in answer.text


def _but_for(name: str, text: str) -> str:
    for part in {name, *name.split("@")}:
        text = text.replace(part, "*" * len("never-was-one"))
    return re.sub(r"\*+(@\*+)?", "*", text)


def _headers(answer: httpx.Response, name: str) -> dict[str, str]:
    own = ("x-request-id", "content-length")
    return {k: _but_for(name, v) for k, v in answer.headers.items() if k not in own}
