from typing import Any

import pytest

from serve_app.gateway.schemas import refers_to_itself

NODE = {"properties": {"next": {"$ref": "#/$defs/Node"}}}
LEAF = {"type": "string"}


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
    "itself behind another of its name": (
        {"$defs": {"A": {"$ref": "#/$defs/A", "$defs": {"A": LEAF}}}},
        True,
    ),
    "itself by what is defined in it": (
        {"$defs": {"A": {"$defs": {"B": {"$ref": "#/$defs/A"}}}}},
        True,
    ),
    "what is defined in it": ({"$defs": {"A": {"$defs": {"B": LEAF}, "$ref": "#/$defs/B"}}}, False),
    "a property that is called definitions": (
        {"properties": {"definitions": {"properties": {"definitions": LEAF}}}},
        False,
    ),
    "itself in such a property": ({"properties": {"definitions": {"$ref": "#"}}}, True),
    "a property of that name": ({"properties": {"$ref": {"type": "string"}}}, False),
    "text": ("json", False),
}


@pytest.mark.parametrize(("value", "refers"), CASES.values(), ids=CASES)
def test_a_schema_refers_to_itself(value: Any, refers: bool) -> None:
    assert refers_to_itself(value) is refers


class Counted(dict[str, Any]):
    """A schema that counts how often it is looked into."""

    looks = 0

    def items(self) -> Any:
        self.looks += 1
        return super().items()


def test_definitions_in_definitions_are_looked_into_once() -> None:
    innermost = Counted(type="string")
    schema: Any = innermost
    for level in range(100):
        schema = {"$defs": {f"D{level}": schema}}
    assert not refers_to_itself(schema)
    assert innermost.looks == 1
