"""The database of what is observed of arms, and of what people thought of their answers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from sqlalchemy import Table, bindparam, case, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control import schema, usage_schema
from serve_app.control.experiment_schema import answers, experiments, feedback, finishes, units
from serve_app.control.loading import rows_of
from serve_app.control.observed import (
    METRICS,
    MOMENTS,
    SUMS,
    Observed,
    Sums,
    UnitArm,
    arm_of,
    observed,
)
from serve_app.control.store import Store
from serve_app.tenancy.usage import UsageRecord

KEPT = 1000
"""Answers kept of each shadow arm."""
CHUNK = 500
"""Units looked up in one query, rows deleted in one transaction, at most."""
_ADD = (
    update(units)
    .where(*(column == bindparam(f"_{column.name}") for column in units.primary_key))
    .values({name: units.c[name] + bindparam(f"more_{name}") for name in SUMS})
)


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that feedback is about, by the id of its usage; ``experiment`` and ``arm`` are
    empty if it had none, and ``unit`` if it is not counted."""

    id: int
    request_id: str
    experiment: str
    arm: str
    unit: str


async def observe(connection: AsyncConnection, records: Iterable[UsageRecord]) -> None:
    """Add what usage says of arms. It is of one transaction with the usage itself."""
    found = observed(records)
    if not found.sums:
        return
    salts = {salt for salt, _, _ in found.sums}
    known = select(experiments.c.salt).where(experiments.c.salt.in_(salts))
    there = set((await connection.execute(known)).scalars())
    met = await _met(connection, [place for place in found.sums if place[0] in there])
    await _write(connection, {p: s for p, s in found.sums.items() if p[0] in there}, found, met)
    for (salt, arm, finish), count in found.finishes.items():
        if salt in there:
            await _finished(connection, {"salt": salt, "arm": arm, "finish": finish}, count)
    kept = [answer for answer in found.answers if answer["salt"] in there]
    if kept:
        await connection.execute(insert(answers), kept)


class Observations:
    """What is observed, in the registry's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def moments(self, salt: str) -> Sequence[Mapping[str, Any]]:
        """A row an arm: for each of ``METRICS``, its moments over units, as ``metric_moment``;
        ``requests``, ``errors`` and ``units`` in all.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        columns = [
            func.count().label("units"),
            func.sum(units.c.requests).label("requests"),
            func.sum(units.c.errors).label("errors"),
        ]
        for name, (count, total) in METRICS.items():
            n, s = units.c[count], units.c[total]
            sums = (case((n > 0, 1), else_=0), n, s, n * n, s * s, n * s)
            columns += [
                func.sum(one).label(f"{name}_{moment}")
                for moment, one in zip(MOMENTS, sums, strict=True)
            ]
        mine = units.c.salt == salt
        query = select(units.c.arm, *columns).where(mine).group_by(units.c.arm)
        async with self._store.reading() as connection:
            return await rows_of(connection, query)

    async def arrivals(self, salt: str) -> Sequence[Mapping[str, Any]]:
        """How many units met an arm first, by epoch and arm.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        by = units.c.epoch, units.c.arm
        mine = units.c.salt == salt, units.c.first
        query = select(*by, func.count().label("units")).where(*mine).group_by(*by)
        async with self._store.reading() as connection:
            return await rows_of(connection, query)

    async def finishes(self, salt: str) -> Sequence[Mapping[str, Any]]:
        """Requests, by arm and why they ended.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self._store.reading() as connection:
            return await rows_of(connection, select(finishes).where(finishes.c.salt == salt))

    async def answers(
        self, salt: str, arm: str | None, limit: int, after: int | None
    ) -> Sequence[Mapping[str, Any]]:
        """What shadow arms answered, newest first; only that which is older than ``after``.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        query = select(answers).where(answers.c.salt == salt)
        if arm is not None:
            query = query.where(answers.c.arm == arm)
        if after is not None:
            query = query.where(answers.c.id < after)
        async with self._store.reading() as connection:
            return await rows_of(connection, query.order_by(answers.c.id.desc()).limit(limit))

    async def answered(self, tenant: str, ids: Sequence[str]) -> Answered | None:
        """The latest request of a tenant's that has one of these ids.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        table = usage_schema.requests
        wanted = (table.c[field.name] for field in fields(Answered))
        mine = table.c.request_id.in_(ids), table.c.tenant == tenant
        query = select(*wanted).where(*mine).order_by(table.c.id.desc()).limit(1)
        async with self._store.reading() as connection:
            rows = await rows_of(connection, query)
        return Answered(**rows[0]) if rows else None

    async def judge(self, answered: Answered, row: Mapping[str, Any]) -> None:
        """Keep what somebody thought of an answer, in place of what was thought of it before.

        Args:
            row: of the table ``feedback``.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written.
        """
        mine = [feedback.c[name] == row[name] for name in ("tenant", "request_id")]
        async with self._store.transaction() as connection:
            await connection.execute(select(schema.meta.c.revision).with_for_update())
            kept = await rows_of(connection, select(feedback).where(*mine))
            writing = update(feedback).where(*mine) if kept else insert(feedback)
            await connection.execute(writing.values(dict(row)))
            before = next((r["score"] for r in kept if r["usage_id"] == answered.id), None)
            place = (answered.experiment, answered.unit, arm_of(answered.arm))
            here = [units.c[k] == v for k, v in zip(("salt", "unit", "arm"), place, strict=True)]
            more = {
                "scores": units.c.scores + int(before is None),
                "score": units.c.score + row["score"] - (before or 0.0),
            }
            await connection.execute(update(units).where(*here).values(more))

    async def forget(self, before: int) -> None:
        """Delete feedback that is older, and what was observed of experiments that are gone, a
        chunk at a time.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        there = select(experiments.c.salt)
        async with self._store.transaction() as connection:
            await connection.execute(delete(feedback).where(feedback.c.at < before))
            old = or_(answers.c.at < before, answers.c.salt.not_in(there))
            await _delete_some(connection, answers, old)
            await _delete_surplus(connection)
            await connection.execute(delete(finishes).where(finishes.c.salt.not_in(there)))
            await _delete_some(connection, units, units.c.salt.not_in(there))


async def _delete_some(connection: AsyncConnection, table: Table, which: Any) -> None:
    key = tuple_(*table.primary_key.columns)
    some = select(*table.primary_key.columns).where(which).limit(CHUNK)
    await connection.execute(delete(table).where(key.in_(some)))


async def _delete_surplus(connection: AsyncConnection) -> None:
    """Answers of each arm beyond the last ``KEPT``."""
    by = answers.c.salt, answers.c.arm
    crowded = select(*by).group_by(*by).having(func.count() > KEPT)
    for row in await rows_of(connection, crowded):
        mine = answers.c.salt == row["salt"], answers.c.arm == row["arm"]
        last = select(answers.c.id).where(*mine).order_by(answers.c.id.desc()).offset(KEPT).limit(1)
        newest = (await connection.execute(last)).scalar_one()
        await connection.execute(delete(answers).where(*mine, answers.c.id <= newest))


async def _met(connection: AsyncConnection, places: list[UnitArm]) -> dict[UnitArm, int]:
    """The epochs in which units of these places met arms, any arms, before."""
    met: dict[UnitArm, int] = {}
    pairs = sorted({(salt, unit) for salt, unit, _ in places})
    for start in range(0, len(pairs), CHUNK):
        wanted = tuple_(units.c.salt, units.c.unit).in_(pairs[start : start + CHUNK])
        query = select(units.c.salt, units.c.unit, units.c.arm, units.c.epoch).where(wanted)
        for row in await rows_of(connection, query):
            met[row["salt"], row["unit"], row["arm"]] = row["epoch"]
    return met


async def _write(
    connection: AsyncConnection,
    sums: Mapping[UnitArm, Sums],
    found: Observed,
    met: Mapping[UnitArm, int],
) -> None:
    """All units in two statements: a round trip for each would hold up the next batch."""
    taken = {(salt, unit) for (salt, unit, _), epoch in met.items() if epoch}
    known, new = list[dict[str, Any]](), list[dict[str, Any]]()
    for place, more in sums.items():
        salt, unit, arm = place
        if place in met:
            here = {"_salt": salt, "_unit": unit, "_arm": arm}
            known.append(here | {f"more_{name}": n for name, n in asdict(more).items()})
            continue
        epoch = found.epochs[place]
        first = epoch > 0 and (salt, unit) not in taken
        if first:
            taken.add((salt, unit))
        row = {"salt": salt, "unit": unit, "arm": arm, "epoch": epoch, "first": first}
        new.append({**row, **asdict(more)})
    for statement, rows in ((_ADD, known), (insert(units), new)):
        if rows:
            await connection.execute(statement, rows)


async def _finished(connection: AsyncConnection, place: dict[str, str], count: int) -> None:
    here = [finishes.c[name] == value for name, value in place.items()]
    more = {"requests": finishes.c.requests + count}
    changed = await connection.execute(update(finishes).where(*here).values(more))
    if not changed.rowcount:
        await connection.execute(insert(finishes), [{**place, "requests": count}])
