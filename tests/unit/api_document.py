"""The OpenAPI document of the real application, and how tests walk it."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import SimpleNamespace
from typing import Any, cast

from serve_app.gateway.app import create_app
from tests.unit.fake_gateway import RecordedMetrics

Json = dict[str, Any]


@lru_cache
def document() -> Json:
    """What ``/openapi.json`` says. No gateway is behind it: routes are what is looked at."""
    gateway = SimpleNamespace(meter=SimpleNamespace(note=None))
    return create_app(cast(Any, gateway), RecordedMetrics(), max_body_bytes=1).openapi()


@dataclass(frozen=True)
class Route:
    """A method of a path."""

    method: str
    path: str
    described: Json

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def body(self) -> Json | None:
        """The schema of its body, None if it takes none; one that may be left out counts as one."""
        content = self.described.get("requestBody", {}).get("content", {})
        if not content:
            return None
        schema: Json = content["application/json"]["schema"]
        return resolved(next(iter(schema.get("anyOf", [schema]))))

    def at(self, **names: str) -> str:
        """Its path with these names in it."""
        return self.path.format_map(names)


def resolved(schema: Json) -> Json:
    """The schema itself where there is only its name."""
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Json = document()["components"]["schemas"][reference.rpartition("/")[2]]
    return found


def routes() -> Iterator[Route]:
    """Every route of the application that the document has."""
    for path, methods in document()["paths"].items():
        for method, described in methods.items():
            yield Route(method.upper(), path, described)


def fields(body: Json) -> dict[str, Json]:
    """Schemas of a body's fields, by name; of one that may be null, that which is not, and none of
    one that may be this or that."""
    return {name: _only(schema) for name, schema in body.get("properties", {}).items()}


def _only(schema: Json) -> Json:
    named = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    return resolved(named[0]) if len(named) == 1 else {}


def must_be_envelope(error: Any) -> None:
    """Fail unless it is an error as OpenAI's API has it."""
    assert error.keys() == {"error"}
    assert sorted(error["error"]) == ["code", "message", "param", "type"]
    for name in ("code", "message", "type"):
        assert isinstance(error["error"][name], str), name
        assert error["error"][name], name
    assert error["error"]["param"] is None or isinstance(error["error"]["param"], str)
