"""Two registries, each with a database of its own, that share limits over one real Redis."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from serve_app.control.board import Board
from serve_app.errors import ConfigError
from serve_app.settings import LimitsSettings
from serve_app.tenancy.allot import NOTHING, SILENT_S, Claim, Report, Share
from serve_app.tenancy.commands import PutTenant, ShowLimits
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.usage import Batch
from tests.redis_server import RedisServer
from tests.unit.control.bench import ADMIN, Bench
from tests.unit.control.desk import a_record, done
from tests.unit.fakes import until

SUBJECT = ("tenant", "newco")
CLAIM = Claim((600, None, None, None), NOTHING, NOTHING, (16, 0, 0, 0))

Start = Callable[[str], Awaitable[Bench]]


@pytest.fixture
async def start(redis: RedisServer, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts the registry of a site, whose sites have all told what they hold."""
    made: list[Bench] = []

    async def one(site: str) -> Bench:
        limits = LimitsSettings.model_validate({"redis_url": redis.url, "site": site})
        bench = await Bench(f"sqlite+aiosqlite:///{tmp_path / site}.db", limits=limits).start()
        made.append(bench)
        bench.clock.now += SILENT_S + 1
        return bench

    yield one
    for bench in made:
        await bench.control.close()


async def share_of(bench: Bench, number: int, claim: Claim = CLAIM) -> Share:
    async with asyncio.timeout(5):
        shares = await bench.control.share(Report("g", number, {SUBJECT: claim}))
    share = shares[SUBJECT]
    assert share is not None
    return share


async def test_two_applications_divide_a_limit(start: Start) -> None:
    east, west = await start("east"), await start("west")
    first, other = await share_of(east, 1), await share_of(west, 1)
    assert first.allowance[0] > 300
    assert other.allowance[0] >= 60
    assert first.allowance[0] + other.allowance[0] <= 600


async def test_what_all_applications_use_is_shown_at_each(start: Start) -> None:
    east, west = await start("east"), await start("west")
    limits = Limits(requests_per_minute=600, tokens_per_day=50)
    for bench in (east, west):
        await bench.declare()
        await done(bench, PutTenant(ADMIN, "newco", limits=limits), 201)
    used = Claim(CLAIM.limits, (5, 0, 0, 0), NOTHING, NOTHING)
    await east.control.record(Batch("g", 1, (a_record(at=int(east.clock.now)),)))
    await share_of(east, 1, used)
    await share_of(west, 1, Claim(CLAIM.limits, (2, 0, 0, 0), NOTHING, NOTHING))
    for bench in (east, west):
        shown = await done(bench, ShowLimits(ADMIN, "newco"))
        assert shown["used"] == {"requests_per_minute": 7, "tokens_per_day": 15}
        assert shown["remaining"] == {"requests_per_minute": 593, "tokens_per_day": 35}


async def test_a_redis_that_hangs_holds_nobody_up(start: Start, redis: RedisServer) -> None:
    east = await start("east")
    with redis.hanging():
        assert (await share_of(east, 1)).allowance[0] == 61
        await until(lambda: east.control.sharing.apart)
        assert (await share_of(east, 2)).allowance[0] <= 61
        shown = await east.control.sharing.used(SUBJECT)
        assert shown[0] == 0
    await until(lambda: not east.control.sharing.apart)
    await until(lambda: east.control.sharing._sites._parts)  # type: ignore[union-attr]
    assert (await share_of(east, 3)).allowance[0] == 540


async def test_a_registry_that_ends_leaves_its_name_to_the_next(
    start: Start, redis: RedisServer
) -> None:
    east = await start("east")
    await share_of(east, 1)
    await east.control.close()
    successor = await start("east")
    assert (await share_of(successor, 1)).allowance[0] > 61
    assert not successor.control.sharing.apart


def test_without_redis_nothing_of_it_is_imported() -> None:
    script = "import serve_app.control.control, sys; sys.exit('redis' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


@pytest.mark.parametrize("option", ["nonsense=1", "socket_timeout=x"])
async def test_an_option_that_the_client_does_not_know_is_refused(option: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Board(f"redis://u:hunter2@h?{option}", "east", "test")
    assert str(refused.value).startswith("limits.redis_url: ")
    assert "hunter2" not in str(refused.value)
