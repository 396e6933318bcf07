"""Adapters as the application tells of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Generic, Literal, TypeVar

from openai import OpenAIError
from pydantic import BaseModel, ConfigDict, ValidationError


class UnknownAnswer(OpenAIError):
    """What answers at the address is not this application, or not of a version this one knows."""


class Record(BaseModel):
    """What the application tells; what it tells beyond the fields named here is kept."""

    model_config = ConfigDict(frozen=True, extra="allow")


T = TypeVar("T", bound=Record)


class Page(Record, Generic[T]):
    """Some of a list; what follows is after ``last_id``."""

    object: Literal["list"]
    data: Sequence[T]
    last_id: str | None = None
    has_more: bool = False


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


class LoraPage(Page[Lora]):
    """Some adapters, in the order of their names."""


class LoraVersionPage(Page[LoraVersion]):
    """Every version of an adapter, newest first."""


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
