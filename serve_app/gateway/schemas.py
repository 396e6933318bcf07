"""Whether a JSON schema refers to itself. Pure, in time proportional to its size.

vLLM compiles schemas to grammars, and took 42 s over one that did (seen in 0.32), then failed.
References between definitions that end somewhere are what the OpenAI SDK makes of nested models.
"""

from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import Any

_DEFINITIONS = ("$defs", "definitions")
_REF = "$ref"
_OUTSIDE = 0
"""The place of what is in no definition."""

Graph = dict[int | str, list[int | str]]
"""Where each definition leads: to what it refers to and to what is defined in it. Definitions are
numbered as they are found; a reference leads to a name, and a name to all that bear it."""


def refers_to_itself(value: Any) -> bool:
    """Whether any schema in ``value`` has a reference that leads back to it, or leads elsewhere
    than to a definition beside it."""
    graph = _graph(value)
    if any(one not in graph for leads in graph.values() for one in leads):
        return True
    try:
        TopologicalSorter(graph).prepare()
    except CycleError:
        return True
    return False


def _graph(value: Any) -> Graph:
    graph: Graph = {_OUTSIDE: []}
    places = count(_OUTSIDE + 1)
    ahead: list[tuple[Any, int, object]] = [(value, _OUTSIDE, None)]
    while ahead:
        schema, place, definitions = ahead.pop()
        for key, inner in _entries(schema):
            home = place
            if key == _REF and isinstance(inner, str):
                graph[place].append(inner)
            if definitions is not None:
                home = next(places)
                graph[home] = []
                graph[place].append(home)
                graph.setdefault(f"#/{definitions}/{key}", []).append(home)
            defines = key in _DEFINITIONS and isinstance(inner, dict)
            ahead.append((inner, home, key if defines else None))
    return graph


def _entries(value: Any) -> Iterator[tuple[object, Any]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)
