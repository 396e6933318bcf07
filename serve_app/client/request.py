"""What an application is asked, before it is. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Generic, Literal, Self
from urllib.parse import quote

from serve_app.client.records import T


@dataclass(frozen=True, slots=True)
class Request(Generic[T]):
    """One call of the HTTP API.

    Attributes:
        path: beneath ``/v1``.
        kind: what is answered.
    """

    method: Literal["get", "post", "put", "patch", "delete"]
    path: str
    kind: type[T]
    body: Mapping[str, Any] | None = None
    query: Mapping[str, Any] = field(default_factory=dict)

    def after(self, last: str) -> Self:
        """The same list, from what follows ``last``."""
        return replace(self, query={**self.query, "after": last})


def path(*parts: str) -> str:
    """Where something is; a part stays one part.

    Raises:
        ValueError: a part is empty, or would lead elsewhere.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} is no name")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def named(**fields: Any) -> dict[str, Any]:
    """A body of those fields that are not None, which leaves the others to the application."""
    return {name: value for name, value in fields.items() if value is not None}
