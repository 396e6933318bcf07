"""Limits over two sites and one real Redis. The clock of the sites is the test's."""

import pytest

from serve_app.tenancy.tally import Ask, Tally
from tests.unit.control.several_sites import ASK, LEARNT_S, Make
from tests.unit.control.sharing import SUBJECT


def most_in_a_minute(admitted: list[float]) -> int:
    ordered = sorted(admitted)
    return max(
        (sum(begin <= at < begin + 60 for at in ordered[n:]) for n, begin in enumerate(ordered)),
        default=0,
    )


@pytest.mark.parametrize(
    "rates", [(15, 15, 0, 0), (8, 7, 8, 7), (28, 0, 2, 0)], ids=["one site", "alike", "unlike"]
)
async def test_sites_admit_the_limit_together_and_no_more(
    sites: Make, rates: tuple[int, ...]
) -> None:
    """They are offered three times of it."""
    several = sites(2, requests_per_minute=600)
    await several.passes(LEARNT_S)
    for turn in range(130 * 4):
        for (site, gateway), rate in zip(several.gateways, rates, strict=True):
            for _ in range(rate * (turn + 1) // 4 - rate * turn // 4):
                gateway.offer(several.clock.now, ASK)
            if rate:
                await site.sync(gateway)
        await several.passes(0.25)
    admitted = [at for _, gateway in several.gateways for at in gateway.admitted]
    assert 540 <= most_in_a_minute(admitted) <= 600
    assert len(admitted) >= 0.9 * 600 * 130 / 61


async def test_what_one_site_does_not_use_reaches_another_within_two_seconds(sites: Make) -> None:
    several = sites(requests_per_minute=600)
    (east, holder), (west, eager) = several.gateways
    await several.passes(LEARNT_S)
    holder.tally.want(ASK, several.clock.now)
    await east.sync(holder)
    assert east.part.allowance[0] == 540
    await several.passes(10)
    since, got = several.clock.now, 0
    while got < 500:
        got += sum(eager.offer(several.clock.now, ASK) for _ in range(500 - got))
        await west.sync(eager)
        for asked in (gateway for gateway in east.gateways if gateway.beat(east.authority)):
            await east.sync(asked)
        await several.passes(0.25)
        assert several.clock.now - since <= 2


async def test_a_tenant_that_comes_to_another_site_need_not_wait(sites: Make) -> None:
    """Of what is not used a part stays free, and who is pressed has it too."""
    several = sites(requests_per_minute=600)
    (east, holder), (west, newcomer) = several.gateways
    await several.passes(LEARNT_S)
    holder.tally.want(ASK, several.clock.now)
    await east.sync(holder)
    newcomer.tally.want(ASK, several.clock.now)
    await west.sync(newcomer)
    assert sum(newcomer.offer(several.clock.now, ASK) for _ in range(60)) == 60
    assert sum(holder.offer(several.clock.now, ASK) for _ in range(600)) == 540


async def test_the_only_site_has_all(sites: Make) -> None:
    several = sites(requests_per_minute=600)
    (east, only), _ = several.gateways
    await several.passes(LEARNT_S)
    await east.sync(only)
    assert sum(only.offer(several.clock.now, ASK) for _ in range(601)) == 540
    await east.sync(only)
    await several.passes(0.25)
    await east.sync(only)
    assert sum(only.offer(several.clock.now, ASK) for _ in range(601)) == 60


async def test_requests_at_a_time_are_counted_over_sites(sites: Make) -> None:
    several = sites(2, concurrent_requests=4)
    await several.passes(LEARNT_S)
    running: list[tuple[Tally, int]] = []
    for _ in range(12):
        for _, gateway in several.gateways:
            if gateway.offer(several.clock.now, ASK):
                running.append((gateway.tally, int(several.clock.now)))
        await several.sync()
        assert len(running) <= 4
    assert len(running) == 4
    tally, second = running.pop()
    tally.settle(ASK, second, 1, several.clock.now)
    for _ in range(8):
        await several.sync()
        free = [gateway for _, gateway in several.gateways if gateway.tally is not tally]
        if any(gateway.offer(several.clock.now, ASK) for gateway in free):
            break
    else:
        pytest.fail("what ended at one gateway is free at no other")
    assert sum(gateway.tally.used(several.clock.now)[2] for _, gateway in several.gateways) == 4


async def test_an_adapter_in_flight_at_two_sites_is_one(sites: Make) -> None:
    several = sites(concurrent_adapters=2)
    (_, one), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    a, b, c = (Ask(1, name) for name in "abc")
    await several.sync()
    assert one.offer(several.clock.now, a)
    for _ in range(3):
        await several.sync()
    assert other.offer(several.clock.now, a)
    for _ in range(5):
        other.tally.want(b, several.clock.now)
        await several.sync()
    assert other.offer(several.clock.now, b)
    for _ in range(4):
        await several.sync()
    assert not one.offer(several.clock.now, c)
    told, _ = await west.sites.elsewhere(SUBJECT)
    assert west.authority.used(SUBJECT, told)[3] == 2


async def test_a_budget_spent_at_one_site_is_spent_at_the_other(sites: Make) -> None:
    several = sites(tokens_per_day=100)
    (east, _), (west, other) = several.gateways
    await several.passes(LEARNT_S)
    await several.sync()
    assert other.offer(several.clock.now, ASK)
    east.spent = 60, 60
    east.sites.recorded([SUBJECT])
    west.spent = 40, 40
    await several.passes(1)
    for _ in range(2):
        await several.sync()
    assert other.tally.share is not None
    assert other.tally.share.spent == (100, 100)
    assert not other.offer(several.clock.now, ASK)
    assert (await west.sites.elsewhere(SUBJECT))[1] == (60, 60)
    several.clock.now += 86_400
    west.spent = 0, 40
    assert (await west.sites.elsewhere(SUBJECT))[1] == (0, 60), "of another day"
