"""What sites write for each other, and how it is read. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from pydantic import TypeAdapter

from serve_app.control.attendance import Beat
from serve_app.control.sums import begin_of_day, begin_of_month
from serve_app.tenancy.allot import Subject
from serve_app.tenancy.division import Told


class Unreadable(Exception):
    """What was found is not what a site of this version writes."""


@dataclass(frozen=True, slots=True)
class Spent:
    """Tokens that a site has recorded in a day and in a month, which began at these unix times."""

    day: int
    month: int
    of_day: int
    of_month: int


@dataclass(frozen=True, slots=True)
class Row:
    """What is written of one subject, by site."""

    told: Mapping[str, Told]
    spent: Mapping[str, Spent]


@dataclass(frozen=True, slots=True)
class Post:
    """What a site writes of one subject.

    Attributes:
        told, spent: its own, if there is anything new.
        forgotten: sites whose word is taken away.
        recalled: sites that are to tell anew.
    """

    told: Told | None = None
    spent: Spent | None = None
    forgotten: Sequence[str] = ()
    recalled: Sequence[str] = ()


_BEAT, _TOLD, _SPENT = TypeAdapter(Beat), TypeAdapter(Told), TypeAdapter(Spent)


def spent_now(tokens: tuple[int, int], unix: float) -> Spent:
    """Tokens of the day and of the month of a time."""
    return Spent(begin_of_day(int(unix)), begin_of_month(int(unix)), *tokens)


def spent_elsewhere(row: Row, site: str, ours: Spent) -> tuple[int, int]:
    """Tokens that others than ``site`` have recorded in the same day, and in the same month."""
    others = [spent for other, spent in row.spent.items() if other != site]
    return (
        sum(spent.of_day for spent in others if spent.day == ours.day),
        sum(spent.of_month for spent in others if spent.month == ours.month),
    )


def written(record: Beat | Told | Spent) -> bytes:
    """As it is written."""
    return orjson.dumps(record, default=list)


def beats_in(found: Mapping[bytes, bytes]) -> dict[str, Beat]:
    """The last beat of each site.

    Raises:
        Unreadable: this is not what a site writes.
    """
    return _read(_BEAT, found)


def row_in(told: Mapping[bytes, bytes], spent: Mapping[bytes, bytes]) -> Row:
    """What is written of a subject.

    Raises:
        Unreadable: this is not what a site writes.
    """
    return Row(_read(_TOLD, told), _read(_SPENT, spent))


def name_of(subject: Subject) -> str:
    return ":".join(subject)


def subject_of(name: bytes) -> Subject:
    kind, _, id_ = name.decode(errors="replace").partition(":")
    return kind, id_


def _read(kind: TypeAdapter[Any], found: Mapping[bytes, bytes]) -> dict[str, Any]:
    try:
        return {site.decode(): kind.validate_json(value) for site, value in found.items()}
    except ValueError:
        sites = b", ".join(found).decode(errors="replace")
        raise Unreadable(f"what one of these has written cannot be read: {sites}") from None
