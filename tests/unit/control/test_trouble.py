"""When the database is locked, full or away: reads go on, writes are 503, nothing is lost."""

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from serve_app.adapters.commands import ShowVersions
from serve_app.control import database
from serve_app.control.store import Store
from serve_app.errors import RegistryUnavailable
from tests.unit.control.bench import ADMIN, Bench, code_of


@pytest.fixture
async def hurried(sqlite: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A registry on SQLite that does not wait long for a lock."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.01)
    bench = await Bench(sqlite).start()
    await bench.register("a", "/a")
    yield bench
    await bench.control.close()


async def _refuses_writes_and_goes_on_reading(bench: Bench) -> None:
    revision = bench.control.revision
    for answer in (
        await bench.register("b"),
        await bench.register("a", "/2"),
        await bench.remove("a"),
        await bench.alias("a", "x"),
    ):
        assert (answer.status, code_of(answer)) == (503, "registry_unavailable")
        assert answer.headers["Retry-After"] == "2"
    assert (await bench.show("a")).body["state"] == "live"
    assert await bench.names() == ["a"]
    assert (await bench.control.manage(ShowVersions(ADMIN, "a"))).status == 200
    assert bench.control.revision == revision
    assert list(bench.control.entries) == ["a"]


async def test_while_the_database_is_locked(hurried: Bench, tmp_path: Path) -> None:
    blocker = sqlite3.connect(tmp_path / "data" / "registry.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    await _refuses_writes_and_goes_on_reading(hurried)
    blocker.execute("ROLLBACK")
    blocker.close()
    assert (await hurried.register("b")).status == 200


async def test_while_the_disk_is_full(hurried: Bench) -> None:
    engine = hurried.control._store._engine.sync_engine

    def full(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1")

    event.listen(engine, "begin", full)
    big = {"k": "v" * 100_000}
    answer = await hurried.register("b", labels=big)
    assert (answer.status, code_of(answer)) == (503, "registry_unavailable")
    assert (await hurried.show("a")).body["state"] == "live"
    event.remove(engine, "begin", full)

    def roomy(connection: Connection) -> None:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")

    event.listen(engine, "begin", roomy)
    assert (await hurried.register("b", labels=big)).status == 200


async def test_while_postgres_is_away(postgres: Any) -> None:
    postgres.psql("CREATE DATABASE away;")
    uri = postgres.get_uri(database="away")
    bench = await Bench(uri.replace("postgresql://", "postgresql+asyncpg://", 1)).start()
    await bench.register("a", "/a")
    drop = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'away';"
    postgres.psql("ALTER DATABASE away ALLOW_CONNECTIONS false;" + drop)
    await _refuses_writes_and_goes_on_reading(bench)
    postgres.psql("ALTER DATABASE away ALLOW_CONNECTIONS true;")
    assert (await bench.register("b")).status == 200
    await bench.control.close()


async def test_connections_that_were_cut_are_made_again(postgres: Any) -> None:
    postgres.psql("CREATE DATABASE cut;")
    uri = postgres.get_uri(database="cut")
    bench = await Bench(uri.replace("postgresql://", "postgresql+asyncpg://", 1)).start()
    await bench.register("a", "/a")
    postgres.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'cut';")
    assert (await bench.register("b", "/b")).status == 200
    await bench.control.close()


async def test_a_database_that_cannot_be_reached_is_unavailable() -> None:
    with pytest.raises(RegistryUnavailable):
        await Store.open("postgresql+asyncpg://postgres@127.0.0.1:1/x")


async def test_a_registration_caught_by_the_trouble_is_finished_when_it_is_over(
    hurried: Bench, tmp_path: Path
) -> None:
    await hurried.register("b", "/b", wait=False)
    blocker = sqlite3.connect(tmp_path / "data" / "registry.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    await hurried.control.settled()
    assert "b" not in hurried.control.entries
    blocker.execute("ROLLBACK")
    blocker.close()
    await hurried.control.sweep()
    await hurried.control.settled()
    assert "b" in hurried.control.entries
    assert hurried.stager.staged.count(("b", "/b")) == 1


async def test_two_controls_on_one_database_do_not_overwrite_each_other(url: str) -> None:
    old, new = await Bench(url).start(), await Bench(url).start()
    await old.register("a", "/1")
    await new.register("a", "/2")
    answer = await old.register("a", "/3")
    assert answer.body["version"] == 3
    await new.control.sweep()
    assert new.control.entries == old.control.entries
    assert new.control.revision == old.control.revision
    await old.control.close()
    await new.control.close()
