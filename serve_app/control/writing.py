"""One transaction of the registry's database: what a change writes."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import Table, bindparam, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control import experiment_schema, schema
from serve_app.control.adapter import Adapter
from serve_app.control.book import Book, Change
from serve_app.control.codec import (
    account_row,
    adapter_row,
    deed_row,
    issued_row,
    registration_row,
    study_row,
    version_row,
)
from serve_app.control.loading import book_in

Rows = list[dict[str, Any]]


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
        return await book_in(self._connection, self.revision)

    async def save(self, change: Change, before: Callable[[str], Adapter | None]) -> int:
        """Write ``change`` over what was ``before``; the new revision."""
        pairs = [(before(adapter.name), adapter) for adapter in change.adapters]
        await self._forget_names(pairs)
        await self._adapters(pairs)
        await self._versions(pairs)
        await self._names(pairs)
        await self._registrations(change)
        await self._tenants(change)
        await self._studies(change)
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
        await self._put(schema.registrations, [registration_row(r) for r in change.registrations])

    async def _tenants(self, change: Change) -> None:
        await self._put(schema.tenants, [account_row(account) for account in change.accounts])
        await self._put(schema.keys, [issued_row(issued) for issued in change.issued])
        gone = [{"_id": id_} for id_ in change.gone_accounts]
        await self._each(
            delete(schema.tenants).where(schema.tenants.c.id == bindparam("_id")), gone
        )
        gone = [{"_id": issued.id} for issued in change.gone_keys]
        await self._each(delete(schema.keys).where(schema.keys.c.id == bindparam("_id")), gone)

    async def _studies(self, change: Change) -> None:
        table = experiment_schema.experiments
        gone = [{"_name": study.name} for study in change.gone_studies]
        await self._each(delete(table).where(table.c.name == bindparam("_name")), gone)
        await self._put(table, [study_row(study) for study in change.studies], "name")

    async def _put(self, table: Table, rows: Rows, key: str = "id") -> None:
        """Insert the rows whose key is new, and put the others in place of what there was."""
        column, keys = table.c[key], [row[key] for row in rows]
        known = select(column).where(column.in_(keys))
        found = set((await self._connection.execute(known)).scalars()) if keys else set()
        await self._insert(table, [row for row in rows if row[key] not in found])
        await self._update(table, [row for row in rows if row[key] in found], key)

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


def _without(row: dict[str, Any], key: tuple[str, ...]) -> dict[str, Any]:
    return {column: value for column, value in row.items() if column not in key}
