"""What the registry's database holds, read whole."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from serve_app.control import experiment_schema, schema
from serve_app.control.book import Book
from serve_app.control.codec import account_of, adapters_of, issued_of, registration_of, study_of

Row = Mapping[str, Any]


async def book_in(connection: AsyncConnection, revision: int) -> Book:
    """The registry at ``revision``, with each adapter's last registration and every open one."""
    tables = schema.adapters, schema.versions, schema.grants, schema.aliases
    adapters = [await rows_of(connection, select(table)) for table in tables]
    attempts = schema.registrations
    last = select(func.max(attempts.c.id)).group_by(attempts.c.adapter)
    wanted = or_(attempts.c.ended.is_(None), attempts.c.id.in_(last))
    registrations = await rows_of(connection, select(attempts).where(wanted))
    accounts = await rows_of(connection, select(schema.tenants))
    issued = await rows_of(connection, select(schema.keys))
    studies = await rows_of(connection, select(experiment_schema.experiments))
    return Book(
        revision,
        adapters_of(*adapters),
        map(registration_of, registrations),
        map(account_of, accounts),
        map(issued_of, issued),
        map(study_of, studies),
    )


async def rows_of(connection: AsyncConnection, query: Any) -> list[Row]:
    """Everything a query finds."""
    rows: Any = (await connection.execute(query)).mappings()
    return list(rows)
