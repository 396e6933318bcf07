"""What may be done to adapters, as gateways ask control for it. Plain data, pickled by Ray."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks.

    Attributes:
        tenant: its id.
        admin: it may manage every adapter.
        manages: it may manage adapters of its own.
        may_use: names of adapters that its declaration grants it; ``*`` grants all.
    """

    tenant: str
    admin: bool = False
    manages: bool = False
    may_use: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Register:
    """Check the content at ``source`` and make it the adapter's version in force.

    Attributes:
        name: the adapter's name; a new adapter if nobody has it.
        source: where its files are: a directory, or a URL.
        owner: the tenant it belongs to; None leaves an adapter's owner as it is.
        grants, description, labels, preload, pin: None leaves what there is.
        digest: refuse other content than this, 64 hex digits.
        wait: answer when it is live or refused, not as soon as it is written down.
    """

    actor: Actor
    name: str
    source: str
    owner: str | None = None
    grants: frozenset[str] | None = None
    description: str | None = None
    labels: dict[str, str] | None = None
    preload: bool | None = None
    pin: bool | None = None
    digest: str | None = None
    wait: bool = True


@dataclass(frozen=True, slots=True)
class Remove:
    """Stop resolving the adapter; drain, unload and delete it."""

    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class Rollback:
    """Put another version in force: ``v1``, a digest of at least 12 digits, or, with None, the
    version that was in force before."""

    actor: Actor
    name: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class PutAlias:
    """Let ``alias`` mean one version of the adapter (as in ``Rollback``; None: the one in force).

    Doing it again with another version moves the alias."""

    actor: Actor
    name: str
    alias: str
    version: str | None = None


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    actor: Actor
    name: str
    alias: str


@dataclass(frozen=True, slots=True)
class Show:
    """One adapter's record."""

    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class ShowVersions:
    """Every version an adapter has had, newest first."""

    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class List:
    """A page of records by name, those after the name ``after``."""

    actor: Actor
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class ShowAudit:
    """A page of who did what, newest first; ``after`` is the id of the last one seen."""

    actor: Actor
    limit: int = 100
    after: int | None = None


Command = (
    Register | Remove | Rollback | PutAlias | RemoveAlias | Show | ShowVersions | List | ShowAudit
)


@dataclass(frozen=True, slots=True)
class Answer:
    """What control answers to a command.

    Attributes:
        status: HTTP status.
        body: a JSON object: a record, a list, or OpenAI's error envelope.
        revision: the catalog's revision in which the command's effect can be seen.
        headers: response headers of a refusal.
    """

    status: int
    body: dict[str, Any]
    revision: int = 0
    headers: dict[str, str] = field(default_factory=dict)
