"""What was observed of arms, and what people thought of answers, in the registry's database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Select, Table, case, delete, func, insert, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control import schema, usage_schema
from serve_app.control.experiment_schema import answers, experiments, feedback, finishes, units
from serve_app.control.loading import rows_of
from serve_app.control.store import Store
from serve_app.control.unit_sums import METRICS, MOMENTS, SUMS, Place, Rows, Seen, arm_of

KEPT = 1000
"""Answers kept of each shadow arm."""
CHUNK = 500
"""Rows deleted in one transaction at most."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that feedback is about, by the id of its usage; ``experiment`` and ``arm`` are
    empty if it had none, and ``unit`` if it is not counted."""

    id: int
    request_id: str
    experiment: str
    arm: str
    unit: str
    epoch: int

    @property
    def place(self) -> Place:
        """Where it is counted."""
        return Place(self.experiment, self.unit, arm_of(self.arm), self.epoch)


class Observations:
    """Raises ``RegistryUnavailable`` where the database does not answer."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def of(self, salt: str, epoch: int) -> Seen:
        """All that is known of an experiment whose weights are those of ``epoch``."""
        mine = units.c.salt == salt
        epochs = select(func.count(units.c.epoch.distinct())).where(mine, units.c.epoch > 0)
        by = units.c.epoch, units.c.arm
        arrivals = select(*by, func.count().label("units")).where(mine, units.c.first).group_by(*by)
        ended = select(finishes).where(finishes.c.salt == salt)
        async with self._store.reading() as connection:
            return Seen(
                await rows_of(connection, _moments(mine)),
                await rows_of(connection, _moments(mine, units.c.epoch == epoch)),
                (await connection.execute(epochs)).scalar_one(),
                await rows_of(connection, arrivals),
                await rows_of(connection, ended),
            )

    async def answers(self, salt: str, arm: str | None, limit: int, after: int | None) -> Rows:
        """What shadow arms answered, newest first; only that which is older than ``after``."""
        return await self._newest(answers, salt, arm, limit, after)

    async def feedback(self, salt: str, arm: str | None, limit: int, after: int | None) -> Rows:
        """What was thought of answers, newest first; only that which is older than ``after``, the
        id of the request's usage."""
        return await self._newest(feedback, salt, arm, limit, after)

    async def answered(self, tenant: str, ids: Sequence[str]) -> Answered | None:
        """The latest request of a tenant's that has one of these ids."""
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
        """
        mine = [feedback.c[name] == row[name] for name in ("tenant", "request_id")]
        here = [units.c[name] == value for name, value in answered.place._asdict().items()]
        async with self._store.transaction() as connection:
            await connection.execute(select(schema.meta.c.revision).with_for_update())
            kept = await rows_of(connection, select(feedback).where(*mine))
            writing = update(feedback).where(*mine) if kept else insert(feedback)
            await connection.execute(writing.values(dict(row)))
            before = next((r["score"] for r in kept if r["id"] == answered.id), None)
            more = {
                "scores": units.c.scores + int(before is None),
                "score": units.c.score + row["score"] - (before or 0.0),
            }
            await connection.execute(update(units).where(*here).values(more))

    async def forget(self, before: int) -> None:
        """Delete what is older, and what was observed of experiments that are gone, a chunk at a
        time."""
        there = select(experiments.c.salt)
        async with self._store.transaction() as connection:
            await connection.execute(delete(feedback).where(feedback.c.at < before))
            old = or_(answers.c.at < before, answers.c.salt.not_in(there))
            await _delete_some(connection, answers, old)
            await _delete_surplus(connection)
            await connection.execute(delete(finishes).where(finishes.c.salt.not_in(there)))
            await _delete_some(connection, units, units.c.salt.not_in(there))

    async def _newest(
        self, table: Table, salt: str, arm: str | None, limit: int, after: int | None
    ) -> Rows:
        query = select(table).where(table.c.salt == salt)
        if arm is not None:
            query = query.where(table.c.arm == arm)
        if after is not None:
            query = query.where(table.c.id < after)
        async with self._store.reading() as connection:
            return await rows_of(connection, query.order_by(table.c.id.desc()).limit(limit))


def _moments(*which: Any) -> Select[Any]:
    """A row an arm, over units, each of which has one row of sums first."""
    totals = (func.sum(units.c[name]).label(name) for name in SUMS)
    each = select(units.c.arm, *totals).where(*which).group_by(units.c.arm, units.c.unit).subquery()
    columns = [
        func.count().label("units"),
        func.sum(each.c.requests).label("requests"),
        func.sum(each.c.errors).label("errors"),
    ]
    for name, (count, total) in METRICS.items():
        n, s = each.c[count], each.c[total]
        sums = (case((n > 0, 1), else_=0), n, s, n * n, s * s, n * s)
        columns += [
            func.sum(one).label(f"{name}_{moment}")
            for moment, one in zip(MOMENTS, sums, strict=True)
        ]
    return select(each.c.arm, *columns).group_by(each.c.arm)


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
