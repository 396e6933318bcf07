from typing import Any

import pytest

from serve_app.gateway.schemas import refers_to_itself

NODE = {"properties": {"next": {"$ref": "#/$defs/Node"}}}
LEAF = {"type": "string"}


def _deep(levels: int) -> Any:
    value: Any = {}
    for _ in range(levels):
        value = [value]
    return value


CASES: dict[str, tuple[Any, bool]] = {
    "no references": ({"type": "object"}, False),
    "a nested model": (
        {"schema": {"$defs": {"Leaf": LEAF}, "properties": {"a": {"$ref": "#/$defs/Leaf"}}}},
        False,
    ),
    "models in models": (
        {"$defs": {"A": {"items": {"$ref": "#/$defs/B"}}, "B": LEAF}, "$ref": "#/$defs/A"},
        False,
    ),
    "the whole": ({"$ref": "#"}, True),
    "a definition in itself": ({"$defs": {"Node": NODE}, "$ref": "#/$defs/Node"}, True),
    "two in each other": (
        {"$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
        True,
    ),
    "something outside": ({"$ref": "http://127.0.0.1/schema"}, True),
    "too deep to tell": (_deep(5000), True),
    "a property of that name": ({"properties": {"$ref": {"type": "string"}}}, False),
    "text": ("json", False),
}


@pytest.mark.parametrize(("value", "refers"), CASES.values(), ids=CASES)
def test_a_schema_refers_to_itself(value: Any, refers: bool) -> None:
    assert refers_to_itself(value) is refers
