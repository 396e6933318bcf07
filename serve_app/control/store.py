"""The registry's database behind the few things control does with it, each one transaction."""

import contextlib
import logging
from collections.abc import AsyncIterator, Mapping
from typing import Any

from sqlalchemy import bindparam, select, update
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from serve_app.control import schema
from serve_app.control.book import Book
from serve_app.control.database import READING, opened
from serve_app.control.loading import Row, book_in, rows_of
from serve_app.control.writing import Writing
from serve_app.errors import RegistryUnavailable

LOGGER = logging.getLogger("ray.serve")


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
    async def writing(self) -> AsyncIterator[Writing]:
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
        async with self.reading() as connection:
            found: int = (await connection.execute(select(schema.meta.c.revision))).scalar_one()
        return found

    async def load(self) -> Book:
        """Everything there is.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self.reading() as connection:
            found = await connection.execute(select(schema.meta.c.revision))
            return await book_in(connection, found.scalar_one())

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
        async with self.reading() as connection:
            return await rows_of(connection, query)

    async def used(self, keys: Mapping[str, int]) -> None:
        """Write down when keys were used last, unix seconds by id. It is no change of revision.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        mine = schema.keys.c.id == bindparam("_id")
        statement = update(schema.keys).where(mine).values(last_used=bindparam("_at"))
        rows = [{"_id": id_, "_at": at} for id_, at in keys.items()]
        async with self.transaction() as connection:
            await connection.execute(statement, rows)

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that is no change of the registry's; left without an error, it is durable.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written.
        """
        with _unavailable():
            async with self._engine.begin() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that only reads, and waits for no writer.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        with _unavailable():
            async with self._engine.connect() as connection:
                yield await connection.execution_options(**{READING: True})


@contextlib.contextmanager
def _unavailable() -> Any:
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        LOGGER.error("the registry's database failed: %s: %s", type(error).__name__, error)
        raise RegistryUnavailable from error
