"""The registry's database: how it is opened, made durable and brought to this version's schema."""

from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, event, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from serve_app.errors import ConfigError

BUSY_TIMEOUT_S = 5.0
COMMAND_TIMEOUT_S = 15
READING = "reading"
"""Execution option of a transaction that only reads, and so must not wait for writers."""

_MIGRATIONS = Path(__file__).parent / "migrations"
_MIGRATION_LOCK = 7_265_676_973
"""Any number, as long as it is the same in every process that migrates."""


async def opened(url: str) -> AsyncEngine:
    """An engine on a database with this version's schema.

    Raises:
        ConfigError: the database was written by a newer version of this application.
        SQLAlchemyError, OSError: it cannot be opened.
    """
    engine = _sqlite(url) if make_url(url).get_backend_name() == "sqlite" else _postgres(url)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(migrate)
    except BaseException:
        await engine.dispose()
        raise
    return engine


def migrate(connection: Connection) -> None:
    """Bring the schema up to date inside the connection's transaction.

    Raises:
        ConfigError: the schema is not one this version knows.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    _must_be_known(connection, ScriptDirectory.from_config(config))
    command.upgrade(config, "head")


def _must_be_known(connection: Connection, script: ScriptDirectory) -> None:
    known = {step.revision for step in script.walk_revisions()}
    found = set(MigrationContext.configure(connection).get_current_heads())
    if not found <= known:
        raise ConfigError(
            f"registry.database_url: the database has the schema {', '.join(sorted(found))}, which "
            f"this version of serve_app does not know (it knows {', '.join(sorted(known))}); "
            "run the version that wrote it, or a newer one"
        )


def _postgres(url: str) -> AsyncEngine:
    arguments = {"timeout": BUSY_TIMEOUT_S, "command_timeout": COMMAND_TIMEOUT_S}
    return create_async_engine(
        url, pool_pre_ping=True, pool_size=4, hide_parameters=True, connect_args=arguments
    )


def _sqlite(url: str) -> AsyncEngine:
    path = make_url(url).database
    if path:
        Path(path).absolute().parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    engine = create_async_engine(
        url, pool_size=4, hide_parameters=True, connect_args={"timeout": BUSY_TIMEOUT_S}
    )
    event.listen(engine.sync_engine, "connect", _make_durable)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _make_durable(connection: Any, _record: Any) -> None:
    """An acknowledged write survives the loss of power; readers do not wait for the writer."""
    connection.isolation_level = None  # transactions are begun below, not by the driver
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        f"busy_timeout={int(BUSY_TIMEOUT_S * 1000)}",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Writers queue where they begin: a transaction never fails half-way for being too late."""
    reading = connection.get_execution_options().get(READING)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
