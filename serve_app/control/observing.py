"""Writes down what usage says of arms, in the transaction of the usage itself."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from sqlalchemy import bindparam, insert, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control.experiment_schema import answers, experiments, finishes, units
from serve_app.control.loading import rows_of
from serve_app.control.unit_sums import SUMS, Place, Sums, added
from serve_app.tenancy.usage import UsageRecord

CHUNK = 500
"""Units looked up in one query at most."""
_KEY = tuple(column.name for column in units.primary_key)
_ADD = (
    update(units)
    .where(*(units.c[name] == bindparam(f"_{name}") for name in _KEY))
    .values({name: units.c[name] + bindparam(f"more_{name}") for name in SUMS})
)


async def observe(connection: AsyncConnection, records: Iterable[UsageRecord]) -> None:
    """Add what usage says of arms; what it says of experiments that are gone is left out."""
    found = added(records)
    if not found.sums:
        return
    salts = {place.salt for place in found.sums}
    known = select(experiments.c.salt).where(experiments.c.salt.in_(salts))
    there = set((await connection.execute(known)).scalars())
    await _units(connection, {place: s for place, s in found.sums.items() if place.salt in there})
    for (salt, arm, finish), count in found.finishes.items():
        if salt in there:
            await _finished(connection, {"salt": salt, "arm": arm, "finish": finish}, count)
    kept = [answer for answer in found.answers if answer["salt"] in there]
    if kept:
        await connection.execute(insert(answers), kept)


async def _units(connection: AsyncConnection, sums: dict[Place, Sums]) -> None:
    """All units in two statements: a round trip for each would hold up the next batch."""
    met = await _met(connection, sums)
    answered = {(place.salt, place.unit) for place in met if place.epoch}
    known, new = list[dict[str, Any]](), list[dict[str, Any]]()
    for place, more in sums.items():
        if place in met:
            here = {f"_{name}": value for name, value in place._asdict().items()}
            known.append(here | {f"more_{name}": n for name, n in asdict(more).items()})
            continue
        unit = place.salt, place.unit
        first = place.epoch > 0 and unit not in answered
        if first:
            answered.add(unit)
        new.append({**place._asdict(), "first": first, **asdict(more)})
    for statement, rows in ((_ADD, known), (insert(units), new)):
        if rows:
            await connection.execute(statement, rows)


async def _met(connection: AsyncConnection, sums: Iterable[Place]) -> set[Place]:
    """Where units of these places have sums already."""
    met: set[Place] = set()
    pairs = sorted({(place.salt, place.unit) for place in sums})
    for start in range(0, len(pairs), CHUNK):
        wanted = tuple_(units.c.salt, units.c.unit).in_(pairs[start : start + CHUNK])
        query = select(*(units.c[name] for name in Place._fields)).where(wanted)
        met.update(Place(**row) for row in await rows_of(connection, query))
    return met


async def _finished(connection: AsyncConnection, place: dict[str, str], count: int) -> None:
    here = [finishes.c[name] == value for name, value in place.items()]
    more = {"requests": finishes.c.requests + count}
    changed = await connection.execute(update(finishes).where(*here).values(more))
    if not changed.rowcount:
        await connection.execute(insert(finishes), [{**place, "requests": count}])
