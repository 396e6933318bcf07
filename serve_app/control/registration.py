"""One attempt to put content in force, from the command to its end. Pure."""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from serve_app.adapters.commands import Actor, Register
from serve_app.errors import ApiError


class Step(StrEnum):
    """How far an attempt has come. Staged is told while it lasts and never written down."""

    REGISTERED = "registered"
    STAGED = "staged"
    LIVE = "live"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Declared:
    """What the configuration says, as it is compared with what it said before.

    Attributes:
        stamp: of the content: its path, and for local files their times and sizes.
        terms: of everything else, as JSON.
    """

    stamp: str
    terms: str


@dataclass(frozen=True, slots=True)
class Registration:
    """An attempt.

    Attributes:
        id: counts the attempts.
        declared: set when it is the configuration that asks.
        created, ended: unix time in seconds.
        code, message: why it failed.
        number: the version it put in force.
    """

    id: int
    command: Register
    step: Step
    created: int
    declared: Declared | None = None
    ended: int | None = None
    code: str | None = None
    message: str | None = None
    number: int | None = None

    @property
    def adapter(self) -> str:
        return self.command.name

    @property
    def open(self) -> bool:
        return self.ended is None


def succeeded(registration: Registration, number: int, now: int) -> Registration:
    """Its end in force. What its source held of credentials is needed no more."""
    return replace(_over(registration, now), step=Step.LIVE, number=number)


def failed(registration: Registration, error: ApiError, now: int) -> Registration:
    """Its end in failure."""
    return replace(
        _over(registration, now), step=Step.FAILED, code=error.code, message=error.message
    )


def _over(registration: Registration, now: int) -> Registration:
    command = replace(registration.command, source=shown_source(registration.command.source))
    return replace(registration, command=command, ended=now)


def shown_source(source: str) -> str:
    """A source as it may be kept and shown: a URL without user, password and query."""
    if "://" not in source:
        return source
    try:
        parts = urlsplit(source)
    except ValueError:  # it is none, so it shows nothing of where it leads
        return f"{source.partition('://')[0]}://"
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def to_json(registration: Registration) -> dict[str, Any]:
    """The command and its declaration, for the database."""
    command: dict[str, Any] = json.loads(json.dumps(asdict(registration.command), default=sorted))
    return {"command": command, "declared": _declaration(registration.declared)}


def _declaration(declared: Declared | None) -> dict[str, str] | None:
    return None if declared is None else asdict(declared)


def command_of(value: dict[str, Any]) -> tuple[Register, Declared | None]:
    """What ``to_json`` wrote."""
    command = dict(value["command"])
    actor = dict(command.pop("actor"))
    actor["may_use"] = frozenset(actor["may_use"])
    if command["grants"] is not None:
        command["grants"] = frozenset(command["grants"])
    declared = value["declared"]
    return Register(Actor(**actor), **command), Declared(**declared) if declared else None
