"""The database of what requests have used. Batches are applied once, however often they come."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Select, delete, func, insert, literal, literal_column, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control import schema
from serve_app.control.loading import rows_of
from serve_app.control.observing import observe
from serve_app.control.store import Store
from serve_app.control.sums import DAY_S, HOUR_S, Place, summed
from serve_app.control.usage_schema import SUMS, WHO, batches, hours, requests
from serve_app.tenancy.usage import Batch, Interval, ShowUsage

_REQUEST = tuple(column.name for column in requests.c if column.name != "id")
CHUNK = 5000
"""Rows deleted in one transaction at most: others are to get at the database too."""


class UsageStore:
    """Usage in the registry's database."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def record(self, batch: Batch, now: int) -> bool:
        """Write a batch; False if it has been written before.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written.
        """
        async with self._store.transaction() as connection:
            await connection.execute(select(schema.meta.c.revision).with_for_update())
            known = select(batches.c.number).where(
                batches.c.gateway == batch.gateway, batches.c.number == batch.number
            )
            if (await connection.execute(known)).first() is not None:
                return False
            row = {"gateway": batch.gateway, "number": batch.number, "at": now}
            await connection.execute(insert(batches), [row])
            if batch.records:
                rows = [{name: getattr(r, name) for name in _REQUEST} for r in batch.records]
                await connection.execute(insert(requests), rows)
            await observe(connection, batch.records)
            for place, sums in summed(batch.records).items():
                await _add(connection, place, sums)
        return True

    async def sums(self, question: ShowUsage) -> Sequence[Mapping[str, Any]]:
        """One more row than is asked for, if there are more.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self._store.reading() as connection:
            return await rows_of(connection, _query(question))

    async def spent(self, since: int) -> Sequence[Mapping[str, Any]]:
        """Tokens by hour, tenant and key, from the hour of ``since`` on.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        who = (hours.c.hour, hours.c.tenant, hours.c.key)
        tokens = func.sum(hours.c.prompt_tokens + hours.c.completion_tokens).label("tokens")
        query = select(*who, tokens).where(hours.c.hour >= since).group_by(*who)
        async with self._store.reading() as connection:
            return await rows_of(connection, query)

    async def forget(self, requests_before: int, hours_before: int) -> None:
        """Delete single requests and sums that are older, a chunk of each at a time.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        old = select(requests.c.id).where(requests.c.at < requests_before).limit(CHUNK)
        async with self._store.transaction() as connection:
            await connection.execute(delete(requests).where(requests.c.id.in_(old)))
            await connection.execute(delete(batches).where(batches.c.at < requests_before))
            await connection.execute(delete(hours).where(hours.c.hour < hours_before))


async def _add(connection: AsyncConnection, place: Place, sums: dict[str, Any]) -> None:
    """Nobody else writes meanwhile: the transaction has the registry's turn."""
    who = dict(zip(("hour", *WHO), place, strict=True))
    mine = [hours.c[name] == value for name, value in who.items()]
    more = {name: hours.c[name] + sums[name] for name in SUMS}
    changed = await connection.execute(update(hours).where(*mine).values(more))
    if not changed.rowcount:
        await connection.execute(insert(hours), [{**who, **sums}])


def _query(question: ShowUsage) -> Select[Any]:
    lasts = {Interval.HOUR: HOUR_S, Interval.DAY: DAY_S}.get(question.interval)
    start = (
        literal(0) if lasts is None else hours.c.hour - hours.c.hour % literal_column(str(lasts))
    )
    groups = [start.label("start"), *(hours.c[name.value] for name in question.by)]
    chosen = [hours.c.hour >= question.start - question.start % HOUR_S, hours.c.hour < question.end]
    for name in ("tenant", "adapter", "key"):
        value = getattr(question, name)
        if value is not None:
            chosen.append(hours.c[name] == value)
    sums = [func.sum(hours.c[name]).label(name) for name in SUMS]
    names = [hours.c[name.value] for name in question.by]
    grouped = names if lasts is None else [start, *names]
    query = select(*groups, *sums).where(*chosen).having(func.count() > 0)
    if grouped:
        query = query.group_by(*grouped).order_by(*grouped)
    return query.limit(question.limit + 1).offset(question.offset)
