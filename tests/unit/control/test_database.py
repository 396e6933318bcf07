"""The schema: from nothing, again, and from a version that is not known here."""

import stat
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine

from serve_app.control.database import opened
from serve_app.control.schema import METADATA
from serve_app.control.store import Store
from serve_app.errors import ConfigError, RegistryUnavailable


async def _query(engine: AsyncEngine, query: str) -> Any:
    async with engine.begin() as connection:
        return (await connection.execute(text(query))).scalar_one()


async def test_an_empty_database_gets_the_tables_the_code_knows(url: str) -> None:
    def difference(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), METADATA))

    engine = await opened(url)
    async with engine.begin() as connection:
        assert await connection.run_sync(difference) == []
    await engine.dispose()


async def test_opening_it_again_changes_nothing(url: str) -> None:
    first = await opened(url)
    async with first.begin() as connection:
        await connection.execute(text("UPDATE meta SET revision = 7"))
    await first.dispose()
    again = await opened(url)
    assert await _query(again, "SELECT revision FROM meta") == 7
    await again.dispose()


async def test_the_schema_of_a_newer_version_is_refused_and_left_alone(url: str) -> None:
    engine = await opened(url)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = 'registry_99'"))
    await engine.dispose()
    with pytest.raises(ConfigError, match=r"registry_99.*does not know"):
        await Store.open(url)
    with pytest.raises(ConfigError):
        await Store.open(url)


async def test_sqlite_keeps_what_it_acknowledged_when_power_is_lost(sqlite: str) -> None:
    engine = await opened(sqlite)
    assert await _query(engine, "PRAGMA journal_mode") == "wal"
    assert await _query(engine, "PRAGMA synchronous") == 2
    assert await _query(engine, "PRAGMA foreign_keys") == 1
    assert await _query(engine, "PRAGMA busy_timeout") == 5000
    await engine.dispose()


async def test_the_directory_of_a_sqlite_file_is_its_owners_alone(
    sqlite: str, tmp_path: Path
) -> None:
    await (await opened(sqlite)).dispose()
    assert stat.S_IMODE((tmp_path / "data").stat().st_mode) == 0o700


async def test_a_file_that_is_no_database_is_said_to_be_unavailable(tmp_path: Path) -> None:
    (tmp_path / "registry.db").write_bytes(b"not a database, " * 1000)
    with pytest.raises(RegistryUnavailable):
        await Store.open(f"sqlite+aiosqlite:///{tmp_path / 'registry.db'}")
