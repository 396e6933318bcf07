"""Bodies, names and queries that are wrong: every field of the OpenAPI document gets what is no
good for it; the answer says so in OpenAI's envelope, to those who may ask, and nothing changes."""

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio

from tests.unit.api_document import Json, Route, fields, must_be_envelope, resolved, routes
from tests.unit.gateway.test_api_roles import MAY, SCOPES
from tests.unit.real_control import RealSite, a_real_site, an_experiment

FREE = "additionalProperties"
NAMES = {"tenant": "acme", "adapter": "finance", "name": "finance", "alias": "stable", "key": "k"}
NAMES["experiment"] = "trial"
NEEDED: dict[str, Json] = {
    "POST /v1/lora/register": {"lora_name": "another", "lora_path": "/b"},
    "POST /v1/load_lora_adapter": {"lora_name": "another", "lora_path": "/b"},
    "POST /v1/unload_lora_adapter": {"lora_name": "another"},
    "POST /admin/v1/keys": {"tenant": "acme"},
    "POST /v1/experiments": an_experiment("another-trial"),
    "PATCH /v1/experiments/{experiment}": {"weights": {"b": 2}},
    "POST /v1/experiments/{experiment}/ramp": {"arm": "b", "share": 0.2},
    "POST /v1/feedback": {"request_id": "r"},
}
"""What a body must have beside the field that is tried."""

GOVERNED = [r for r in routes() if r.body is not None and r.body.get(FREE) is not True]
NAMED = [r for r in routes() if "{" in r.path]
HOSTILE = (" ", "..", "%2e%2e", "a/b", "x" * 5000, "\0", "a\nb", "ünïcode", "\u202egnp", "'; --")


BEYOND: dict[str, Callable[[Any], Any]] = {
    "minimum": lambda least: int(least) - 1,
    "exclusiveMinimum": lambda below: below,
    "maximum": lambda most: int(most) + 1,
    "maxLength": lambda most: "x" * (most + 1),
    "minItems": lambda least: [],
    "maxItems": lambda most: ["x"] * (most + 1),
}
UNLIKE: dict[str, tuple[Any, ...]] = {
    "string": (7, True, "a\0b"),
    "integer": ("many", "1", True, 1.5, 10**30),
    "number": ("heavy", "1", True),
    "boolean": ("perhaps", "no", 1),
}
"""JSON has types: what only looks like one is another, and most likely a mistake."""
NAMING = ("lora_name", "default_adapter", "adapters", "owner", "grants", "tenant")
"""Fields that name something, which nothing is named by no name."""
SOURCES = ("http://[x", "https://[::1", "s3://", "hf://", "://", "http://a b", "file:///a", "\n")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RealSite]:
    async with a_real_site(tmp_path_factory.mktemp("registry")) as site:
        made = await site.ask("POST", "/v1/experiments", json=an_experiment("trial"))
        assert made.status_code == 201, made.text
        yield site


def wrong(schema: Json) -> Iterator[Any]:
    """Values that are none of what ``schema`` takes."""
    yield [{"of": "objects"}]
    if not schema:
        return
    yield from UNLIKE.get(schema.get("type", ""), ("neither list nor object",))
    if "enum" in schema:
        yield "nothing of the kind"
    for bound, beyond in BEYOND.items():
        if bound in schema:
            yield beyond(schema[bound])
    if schema.get("type") == "array":
        yield from ([bad] for bad in wrong(resolved(schema["items"])))


def cases() -> Iterator[Any]:
    for route in GOVERNED:
        assert route.body is not None
        for field, schema in fields(route.body).items():
            empty = ["", [""]] if field in NAMING else []
            for number, value in enumerate([*wrong(schema), *empty]):
                yield pytest.param(route, field, value, id=f"{route.name} {field} {number}")


def test_there_are_bodies_and_names_to_try() -> None:
    assert len(GOVERNED) >= 10
    assert len(list(cases())) > 100
    assert len(NAMED) >= 15


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("route", "field", "value"), list(cases()))
async def test_a_field_that_is_no_good_is_named_and_nothing_changes(
    site: RealSite, route: Route, field: str, value: Any
) -> None:
    before = await _everything(site)
    answer = await site.ask(route.method, route.at(**NAMES), json=_body(route) | {field: value})
    _must_refuse(answer, {400, 422})
    assert (answer.json()["error"]["param"] or "").split(".")[0] == field, answer.text
    assert await _everything(site) == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", GOVERNED, ids=lambda route: route.name)
async def test_a_body_that_is_none_is_refused(site: RealSite, route: Route) -> None:
    unknown = await site.ask(
        route.method, route.at(**NAMES), json=_body(route) | {"no_such_field": 1}
    )
    _must_refuse(unknown, {400, 422})
    assert "no_such_field" in unknown.json()["error"]["param"]
    for content in (b"[]", b'"x"', b"{", b"\xff", b"1" * 5000, b"[" * 5000):
        answer = await _send(site, route, "sk-r", content)
        _must_refuse(answer, {400, 422})
        assert answer.json()["error"]["param"] is None, "it is of no field"
    halved = b'{"label": "\\ud800", "description": "\\ud800", "lora_name": "\\ud800"}'
    _must_refuse(await _send(site, route, "sk-r", halved), {400, 422})


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("source", SOURCES)
async def test_no_source_makes_the_server_fail(site: RealSite, source: str) -> None:
    """What is none is refused where content is fetched, which this site does not do."""
    body = {"lora_name": "sourced", "lora_path": source}
    answer = await site.ask("POST", "/v1/lora/register", "sk-r", body)
    assert answer.status_code < 500, answer.text
    assert "registration" in answer.json()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", GOVERNED, ids=lambda route: route.name)
async def test_who_may_not_hears_nothing_of_the_body(site: RealSite, route: Route) -> None:
    """Nor is it read: not what is no JSON, not what is too large."""
    keys = {"": 401, "sk-nobody": 401}
    for role, scope in SCOPES.items():
        made = {"tenant": "acme", "scopes": [scope]}
        key = (await site.ask("POST", "/admin/v1/keys", json=made)).json()["key"]
        keys |= {} if role in MAY[route.name] else {key: 403}
    assert len(keys) > 2
    for key, status in keys.items():
        for body in (b'{"no_such_field": 1}', b"{", b"[]", b"\xff", b" " * 5_000_000):
            answer = await _send(site, route, key, body)
            _must_refuse(answer, {status})
            assert answer.json()["error"]["param"] is None
            assert "no_such_field" not in answer.text


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.name)
async def test_a_slash_more_is_another_path_and_not_a_way_elsewhere(
    site: RealSite, route: Route
) -> None:
    answer = await site.ask(route.method, f"{route.at(**NAMES, model='finance')}/")
    _must_refuse(answer, {404, 405})


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", NAMED, ids=lambda route: route.name)
@pytest.mark.parametrize("name", HOSTILE)
async def test_no_name_is_too_strange_for_an_answer(
    site: RealSite, route: Route, name: str
) -> None:
    part = name if name.startswith("%") else quote(name, safe="")
    before = await _everything(site)
    path = route.at(**dict.fromkeys(NAMES, part), model=part)
    answer = await site.ask(route.method, path, json=_body(route) if route.body else None)
    _must_refuse(answer, {400, 404, 405, 414, 422})
    assert await _everything(site) == before


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("route", list(routes()), ids=lambda route: route.name)
async def test_no_query_is_too_strange_for_an_answer(site: RealSite, route: Route) -> None:
    for parameter in route.described.get("parameters", []):
        if parameter["in"] != "query":
            continue
        for value in ("x" * 5000, "\0", "-1", "1e99", "\u202e", "9" * 40):
            query = f"{parameter['name']}={quote(value)}"
            answer = await site.ask(route.method, f"{route.at(**NAMES)}?{query}")
            assert answer.status_code < 500, f"{query}: {answer.text}"
            if not answer.is_success:
                must_be_envelope(answer.json())


def _body(route: Route) -> Json:
    return dict(NEEDED.get(route.name, {}))


async def _send(site: RealSite, route: Route, key: str, content: bytes) -> httpx.Response:
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {key}"
    path = route.at(**NAMES)
    return await site.client.request(route.method, path, content=content, headers=headers)


def _must_refuse(answer: httpx.Response, statuses: set[int]) -> None:
    assert answer.status_code in statuses, f"{answer.status_code} {answer.text}"
    must_be_envelope(answer.json())


async def _everything(site: RealSite) -> list[Any]:
    """What there is, as an admin sees it."""
    paths = (
        "/admin/v1/tenants",
        "/admin/v1/keys",
        "/admin/v1/grants",
        "/v1/lora",
        "/v1/experiments",
    )
    return [(await site.ask("GET", path)).json()["data"] for path in paths]
