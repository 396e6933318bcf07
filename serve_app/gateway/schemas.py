"""Whether a JSON schema refers to itself. Pure.

vLLM compiles schemas to grammars, and took 42 s over one that did (seen in 0.32), then failed.
References between definitions that end somewhere are what the OpenAI SDK makes of nested models.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any

_DEFINITIONS = ("$defs", "definitions")


def refers_to_itself(value: Any) -> bool:
    """Whether any schema in ``value`` has a reference that leads back to it, or leads elsewhere
    than to a definition beside it, or is nested too deeply to tell."""
    try:
        if not set(_targets(value)) <= {f"#/{d}/{name}" for d, name, _ in _definitions(value)}:
            return True
        graph = {f"#/{d}/{name}": set(_targets(body)) for d, name, body in _definitions(value)}
        TopologicalSorter(graph).prepare()
    except (CycleError, RecursionError):
        return True
    return False


def _targets(value: Any) -> Iterator[str]:
    """Where the references in ``value`` point to."""
    for key, inner in _entries(value):
        if key == "$ref" and isinstance(inner, str):
            yield inner
        else:
            yield from _targets(inner)


def _definitions(value: Any) -> Iterator[tuple[str, str, Any]]:
    for key, inner in _entries(value):
        if key in _DEFINITIONS and isinstance(inner, dict):
            yield from ((str(key), str(name), body) for name, body in inner.items())
        yield from _definitions(inner)


def _entries(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
