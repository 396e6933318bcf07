"""Sites and a real Redis, of which one is away, begins anew, leaves or says what is not so. The
clock of the sites is the test's."""

import logging
from collections.abc import Callable

import pytest
from redis.asyncio import Redis

from serve_app.control.board import Board
from serve_app.tenancy.allot import NOTHING, SILENT_S, Report
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Tally
from serve_app.tenancy.window import WINDOW_S
from tests.redis_server import RedisServer
from tests.unit.control.several_sites import ASK, LEARNT_S, Make, Several, Site
from tests.unit.control.sharing import SUBJECT


async def test_without_redis_limits_go_on_from_the_last_share(
    sites: Make, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    several = sites(requests_per_minute=100)
    (_, one), (_, other) = several.gateways
    await several.passes(LEARNT_S)
    for _ in range(12):
        for gateway in (one, other):
            gateway.tally.want(ASK, several.clock.now)
        await several.sync()
    had = [site.part.allowance[0] for site in several.sites]
    assert sum(had) <= 100
    assert min(had) >= 40
    redis.kill()
    with caplog.at_level(logging.INFO):
        for _ in range(4):
            await several.sync()
        assert [site.sites.apart for site in several.sites] == [True, True]
        assert [site.part.allowance[0] for site in several.sites] == had
        got = [
            sum(gateway.offer(several.clock.now, ASK) for _ in range(99))
            for gateway in (one, other)
        ]
        assert got == had
        short = one.tally.short(ASK, several.clock.now)
        assert short is not None
        assert not short.here, "it waits for nothing that could come"
        redis.start()
        for _ in range(4):
            await several.sync()
    said = [record.message for record in caplog.records]
    back = ["again" in text for text in said]
    assert back == [False, False, True, True], "once a site that it is away, and that it is back"
    assert all("Redis" in text for text in said[:2])
    assert [site.sites.apart for site in several.sites] == [False, False]
    await several.passes(LEARNT_S)
    assert several.used()[0] == sum(had)
    await several.passes(WINDOW_S + 1)
    for _ in range(12):
        one.tally.want(ASK, several.clock.now)
        await several.sync()
    assert one.offer(several.clock.now, ASK)


async def test_a_site_that_never_heard_of_a_tenant_begins_with_a_part_while_redis_is_away(
    sites: Make, redis: RedisServer
) -> None:
    several = sites(2, requests_per_minute=100)
    redis.kill()
    await several.passes(1)
    east, _ = several.sites
    one, other = east.gateways
    await east.sync(one)
    await east.sync(other)
    got = [
        sum(gateway.offer(several.clock.now, ASK) for _ in range(50)) for gateway in (one, other)
    ]
    assert sum(got) == 11


async def test_redis_that_lost_everything_is_told_what_is_held_before_more_is_given(
    sites: Make, redis: RedisServer
) -> None:
    several = sites(requests_per_minute=100)
    (_, one), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    assert not one.offer(several.clock.now, ASK)
    await several.sync()
    assert sum(one.offer(several.clock.now, ASK) for _ in range(100)) == 100
    redis.kill()
    redis.start()
    await west.sites.round()
    await west.sync(other)
    assert sum(other.offer(several.clock.now, ASK) for _ in range(100)) <= 11
    await several.passes(2 * SILENT_S)
    await several.sync()
    assert not other.offer(several.clock.now, ASK)


async def test_a_control_that_begins_anew_keeps_what_its_site_had(sites: Make) -> None:
    several = sites(requests_per_minute=100)
    (east, one), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    one.offer(several.clock.now, ASK)
    await east.sync(one)
    east.begin()
    for _ in range(4):
        assert not other.offer(several.clock.now, ASK)
        await west.sync(other)
        await several.passes(1)
    assert sum(one.offer(several.clock.now, ASK) for _ in range(40)) == 40
    got = 0
    for _ in range(24):
        got += sum(other.offer(several.clock.now, ASK) for _ in range(60))
        await several.sync()
    assert got == 60, "and what it does not use is free"


async def test_two_applications_of_one_name_do_not_share(
    sites: Make, board: Callable[[str], Board], caplog: pytest.LogCaptureFixture
) -> None:
    several = sites(requests_per_minute=100)
    await several.passes(LEARNT_S)
    tally = Tally(Limits(requests_per_minute=100), several.clock.now)
    twin = Site(board("east"), several.clock, [tally])
    several.sites.append(twin)
    await several.passes(3)
    assert [site.sites.apart for site in several.sites] == [False, False, True]
    (said,) = caplog.records
    assert said.levelno == logging.ERROR
    assert "`limits.site`" in said.message
    await twin.sync(twin.gateways[0])
    assert sum(twin.gateways[0].offer(several.clock.now, ASK) for _ in range(100)) == 11
    several.sites.pop(0)
    await several.passes(3)
    assert not twin.sites.apart, "the other has ended"


async def test_of_two_that_begin_under_one_name_at_once_one_has_it(
    board: Callable[[str], Board],
) -> None:
    several = Several(Limits(requests_per_minute=100), [board("east"), board("east")], gateways=1)
    await several.passes(3)
    assert sorted(site.sites.apart for site in several.sites) == [False, True]


async def test_a_site_that_leaves_keeps_what_its_gateways_hold(sites: Make) -> None:
    several = sites(requests_per_minute=100)
    (east, one), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    one.tally.want(ASK, several.clock.now)
    await several.sync()
    assert sum(one.offer(several.clock.now, ASK) for _ in range(30)) == 30
    report = one.report(several.clock.now)
    await east.share(Report(one.id, report.number, report.claims, leaving=True))
    await east.sites.close()
    several.sites.remove(east)
    got = 0
    for _ in range(4):
        got += sum(other.offer(several.clock.now, ASK) for _ in range(100))
        await west.sync(other)
        await several.passes(0.5)
    assert got == 70


async def test_what_a_lost_site_had_is_free_after_a_window_and_not_before(sites: Make) -> None:
    """Its control may be lost, and its gateways serve all the same."""
    several = sites(concurrent_requests=4)
    (east, one), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    one.tally.want(ASK, several.clock.now)
    await several.sync()
    assert sum(one.offer(several.clock.now, ASK) for _ in range(9)) == 4
    await several.sync()
    several.sites.remove(east)
    for _ in range(10):
        await several.passes(5)
        assert not other.offer(several.clock.now, ASK)
        await west.sync(other)
    await several.passes(15)
    await west.sync(other)
    await several.passes(0.5)
    await west.sync(other)
    assert sum(other.offer(several.clock.now, ASK) for _ in range(9)) == 4


async def test_a_tenant_that_no_gateway_knows_any_more_is_let_go_of(
    sites: Make, redis: RedisServer
) -> None:
    several = sites(requests_per_minute=100)
    (east, one), _ = several.gateways
    await several.passes(LEARNT_S)
    await east.sync(one)
    await several.passes(1)
    async with Redis.from_url(redis.url) as client:
        assert sorted(await client.keys()) == [b"{test}:sites", b"{test}:told:tenant:acme"]
        assert 0 < await client.ttl("{test}:told:tenant:acme") <= 300
        await east.share(Report(one.id, one.number + 1, released=frozenset({SUBJECT})))
        await several.passes(1)
        assert await client.keys() == [b"{test}:sites"]
    assert east.parts == {}


async def test_what_cannot_be_read_is_not_believed(
    sites: Make, redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    several = sites(requests_per_minute=100)
    (east, one), _ = several.gateways
    await several.passes(LEARNT_S)
    async with Redis.from_url(redis.url) as client:
        await client.hset("{test}:told:tenant:acme", "south", "{}")
        await east.sync(one)
        assert east.sites.apart
        assert "cannot be read: south" in caplog.text
        await client.delete("{test}:told:tenant:acme")
    await several.passes(1)
    await east.sync(one)
    assert one.tally.share is not None
    assert one.tally.share.allowance != NOTHING


async def test_a_password_is_in_no_log(
    redis: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with Redis.from_url(redis.url) as client:
        await client.config_set("requirepass", "right")
    board = Board(redis.url.replace("unix://", "unix://:hunter2@"), "east", "test")
    several = Several(Limits(requests_per_minute=100), [board], gateways=1)
    await several.passes(1)
    assert several.sites[0].sites.apart
    assert "invalid username-password pair" in caplog.text
    assert "hunter2" not in caplog.text
    await board.close()
