"""Adapters as the application tells of them, and what it is asked of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, TypeVar
from urllib.parse import quote

from openai import OpenAIError
from pydantic import BaseModel, ConfigDict, ValidationError

PAGE = 1000
"""Adapters asked for at once, which is as many as are answered at once."""


class UnknownAnswer(OpenAIError):
    """What answers at the address is not this application, or not of a version this one knows."""


class Record(BaseModel):
    """What the application tells; what it tells beyond the fields named here is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


class Terms(TypedDict, total=False):
    """On which terms an adapter is registered.

    Attributes:
        owner: the tenant whose it is.
        grants: tenants that may use it.
        preload: load it before anybody asks.
        pin: keep it resident.
        digest: refuse other content.
        wait: return when it answers everywhere, unless False: then at once, with how far it has
            come.
    """

    owner: str | None
    grants: Sequence[str] | None
    description: str | None
    labels: Mapping[str, str] | None
    preload: bool | None
    pin: bool | None
    digest: str | None
    wait: bool


class LoraReplica(Record):
    """A replica that holds a version.

    Attributes:
        leases: requests that run on it now; None if that is not yours to know.
        load_s: seconds its load took.
    """

    replica: str
    version: int
    state: str
    leases: int | None = None
    load_s: float | None = None


class LoraRegistration(Record):
    """The latest attempt to register an adapter.

    Attributes:
        bytes: fetched so far, while it is under way.
        error: ``code`` and ``message`` of what failed, if it did.
    """

    state: str
    source: str | None = None
    bytes: int | None = None
    error: Mapping[str, str] | None = None


class Lora(Record):
    """An adapter; None is what there is not yet, or what is not yours to know.

    Attributes:
        id: its name, as ``model`` takes it.
        version: the number of the version in force.
        state: ``registered``, ``staged``, ``live``, ``retiring``, ``gone`` or ``failed``.
        aliases: further names, and the versions they mean.
        created, updated: unix seconds.
    """

    id: str
    object: Literal["lora"]
    state: str
    version: int | None
    digest: str | None
    owner: str | None
    path: str | None = None
    grants: Sequence[str] = ()
    description: str | None = None
    labels: Mapping[str, str] = {}
    aliases: Mapping[str, int] = {}
    preload: bool = False
    pin: bool = False
    rank: int | None = None
    size_bytes: int | None = None
    created: int | None = None
    updated: int | None = None
    replicas: Sequence[LoraReplica] = ()
    registration: LoraRegistration | None = None

    @property
    def is_live(self) -> bool:
        """Whether it answers to its name."""
        return self.state == "live"


class LoraVersion(Record):
    """One immutable content of an adapter.

    Attributes:
        id: ``name@digest``, as ``x-serve-adapter`` tells it.
        current: whether it answers the adapter's name.
    """

    id: str
    object: Literal["lora.version"]
    adapter: str
    version: int
    digest: str
    state: str
    current: bool
    aliases: Sequence[str] = ()
    path: str | None = None
    rank: int | None = None
    size_bytes: int | None = None
    created: int | None = None
    replicas: Sequence[LoraReplica] = ()


class LoraPage(Record):
    """Some adapters, in the order of their names."""

    object: Literal["list"]
    data: Sequence[Lora]
    last_id: str | None = None
    has_more: bool = False


class LoraVersionPage(Record):
    """Every version of an adapter, newest first."""

    object: Literal["list"]
    data: Sequence[LoraVersion]


T = TypeVar("T", bound=Record)


def read(body: str, kind: type[T]) -> T:
    """The record that an answer's body is.

    Raises:
        UnknownAnswer: it is none.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        what = kind.__name__
        raise UnknownAnswer(
            f"What answers is no {what} of a serve_app of this version: is the base_url right?"
        ) from error


def path(*parts: str) -> str:
    """Where adapters are, and one of them and more of it; a part stays one part.

    Raises:
        ValueError: a part is empty, or would lead elsewhere.
    """
    for part in parts:
        if part in ("", ".", ".."):
            raise ValueError(f"{part!r} is no name")
    return "".join(f"/{quote(part, safe='')}" for part in ("lora", *parts))


def page_query(after: str | None) -> dict[str, Any]:
    """What to ask for the adapters whose names follow ``after``."""
    return {"limit": PAGE} if after is None else {"limit": PAGE, "after": after}


def registration(lora_name: str, lora_path: str, terms: Terms) -> dict[str, Any]:
    """The body that registers an adapter. What is None stays as it is there."""
    named = {name: value for name, value in terms.items() if value is not None}
    return {"lora_name": lora_name, "lora_path": lora_path, "wait": True, **named}


def which(version: int | str | None) -> dict[str, Any] | None:
    """The body that names a version; None leaves it to the application."""
    return None if version is None else {"version": version}
