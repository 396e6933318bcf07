"""The registry's database behind the few things control does with it, each one transaction."""

import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

from sqlalchemy import Table, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serve_app.control import schema
from serve_app.control.adapter import Adapter
from serve_app.control.book import Book, Change
from serve_app.control.codec import (
    Row,
    adapter_row,
    adapters_of,
    deed_row,
    registration_of,
    registration_row,
    version_row,
)
from serve_app.control.database import READING, opened
from serve_app.errors import RegistryUnavailable

LOGGER = logging.getLogger("ray.serve")
Rows = list[dict[str, Any]]


class Store:
    """The database. Several processes may use one: each write is decided on what it finds."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    @staticmethod
    async def open(url: str) -> "Store":
        """Open, or make, the database at ``url``.

        Raises:
            ConfigError: a newer version of this application wrote it.
            RegistryUnavailable: it cannot be opened.
        """
        with _unavailable():
            return Store(await opened(url))

    async def close(self) -> None:
        await self._engine.dispose()

    @contextlib.asynccontextmanager
    async def writing(self) -> AsyncIterator["Writing"]:
        """A transaction no other one can interfere with; left without an error, it is durable.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written.
        """
        with _unavailable():
            async with self._engine.begin() as connection:
                found = select(schema.meta.c.revision).with_for_update()
                yield Writing(connection, (await connection.execute(found)).scalar_one())

    async def revision(self) -> int:
        """The revision written last.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self._reading() as connection:
            found: int = (await connection.execute(select(schema.meta.c.revision))).scalar_one()
        return found

    async def load(self) -> Book:
        """Everything there is.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self._reading() as connection:
            found = await connection.execute(select(schema.meta.c.revision))
            return await _book(connection, found.scalar_one())

    async def deeds(self, limit: int, after: int | None, owner: str | None) -> list[Row]:
        """Lines of the audit log, newest first; only those on adapters of ``owner`` if given.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        table = schema.audit
        query = select(table).order_by(table.c.id.desc()).limit(limit)
        if after is not None:
            query = query.where(table.c.id < after)
        if owner is not None:
            query = query.where(table.c.owner == owner)
        async with self._reading() as connection:
            return await _rows(connection, query)

    @contextlib.asynccontextmanager
    async def _reading(self) -> AsyncIterator[AsyncConnection]:
        with _unavailable():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(**{READING: True})


class Writing:
    """An open transaction.

    Attributes:
        revision: the one found in the database.
    """

    def __init__(self, connection: AsyncConnection, revision: int) -> None:
        self.revision = revision
        self._connection = connection

    async def load(self) -> Book:
        """Everything there is, as this transaction sees it."""
        return await _book(self._connection, self.revision)

    async def save(self, change: Change, before: Callable[[str], Adapter | None]) -> int:
        """Write ``change`` over what was ``before``; the new revision."""
        pairs = [(before(adapter.name), adapter) for adapter in change.adapters]
        await self._forget_names(pairs)
        await self._adapters(pairs)
        await self._versions(pairs)
        await self._names(pairs)
        await self._registrations(change)
        await self._insert(schema.audit, [deed_row(deed) for deed in change.deeds])
        await self._connection.execute(
            update(schema.meta).values(revision=schema.meta.c.revision + 1)
        )
        return self.revision + 1

    async def _forget_names(self, pairs: list[tuple[Adapter | None, Adapter]]) -> None:
        """Aliases that are gone or moved, and grants that are gone."""
        aliases = [
            {"_alias": alias}
            for old, new in pairs
            for alias, number in (old.aliases if old else {}).items()
            if new.aliases.get(alias) != number
        ]
        grants = [
            {"_adapter": new.name, "_tenant": tenant}
            for old, new in pairs
            for tenant in (old.grants if old else frozenset()) - new.grants
        ]
        table = schema.grants
        await self._each(
            delete(schema.aliases).where(schema.aliases.c.alias == bindparam("_alias")), aliases
        )
        mine = table.c.adapter == bindparam("_adapter"), table.c.tenant == bindparam("_tenant")
        await self._each(delete(table).where(*mine), grants)

    async def _adapters(self, pairs: list[tuple[Adapter | None, Adapter]]) -> None:
        table = schema.adapters
        new = [adapter_row(after) for before, after in pairs if before is None]
        old = [adapter_row(after) for before, after in pairs if before is not None]
        await self._insert(table, new)
        await self._update(table, old, "name")

    async def _versions(self, pairs: list[tuple[Adapter | None, Adapter]]) -> None:
        new: Rows = []
        changed: Rows = []
        for before, after in pairs:
            had = before.versions if before else {}
            for number, kept in after.versions.items():
                if number not in had:
                    new.append(version_row(kept))
                elif had[number] != kept:
                    changed.append(version_row(kept))
        await self._insert(schema.versions, new)
        await self._update(schema.versions, changed, "adapter", "number")

    async def _names(self, pairs: list[tuple[Adapter | None, Adapter]]) -> None:
        """Aliases that are new or moved, and grants that are new."""
        aliases = [
            {"alias": alias, "adapter": new.name, "number": number}
            for old, new in pairs
            for alias, number in new.aliases.items()
            if old is None or old.aliases.get(alias) != number
        ]
        grants = [
            {"adapter": new.name, "tenant": tenant}
            for old, new in pairs
            for tenant in new.grants - (old.grants if old else frozenset())
        ]
        await self._insert(schema.aliases, aliases)
        await self._insert(schema.grants, grants)

    async def _registrations(self, change: Change) -> None:
        rows = [registration_row(registration) for registration in change.registrations]
        ids = [row["id"] for row in rows]
        known = select(schema.registrations.c.id).where(schema.registrations.c.id.in_(ids))
        found = set((await self._connection.execute(known)).scalars()) if ids else set()
        table = schema.registrations
        await self._insert(table, [row for row in rows if row["id"] not in found])
        await self._update(table, [row for row in rows if row["id"] in found], "id")

    async def _insert(self, table: Table, rows: Rows) -> None:
        await self._each(insert(table), rows)

    async def _update(self, table: Table, rows: Rows, *key: str) -> None:
        statement = update(table).where(*(table.c[k] == bindparam(f"_{k}") for k in key))
        keyed = [{**{f"_{k}": row[k] for k in key}, **_without(row, key)} for row in rows]
        columns = [c for c in (keyed[0] if keyed else ()) if not c.startswith("_")]
        await self._each(statement.values({c: bindparam(c) for c in columns}), keyed)

    async def _each(self, statement: Any, rows: Rows) -> None:
        if rows:
            await self._connection.execute(statement, rows)


async def _book(connection: AsyncConnection, revision: int) -> Book:
    """The registry, with each adapter's last registration and every open one."""
    tables = schema.adapters, schema.versions, schema.grants, schema.aliases
    adapters = [await _rows(connection, select(table)) for table in tables]
    attempts = schema.registrations
    last = select(func.max(attempts.c.id)).group_by(attempts.c.adapter)
    wanted = or_(attempts.c.ended.is_(None), attempts.c.id.in_(last))
    registrations = await _rows(connection, select(attempts).where(wanted))
    return Book(revision, adapters_of(*adapters), map(registration_of, registrations))


async def _rows(connection: AsyncConnection, query: Any) -> list[Row]:
    rows: Any = (await connection.execute(query)).mappings()
    return list(rows)


def _without(row: dict[str, Any], key: tuple[str, ...]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in key}


@contextlib.contextmanager
def _unavailable() -> Any:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        LOGGER.error("the registry's database failed: %s: %s", type(error).__name__, error)
        raise RegistryUnavailable from error
