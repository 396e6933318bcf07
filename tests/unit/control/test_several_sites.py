"""Limits over several sites: simulated, with words between them that are late or lost."""

import asyncio
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.tenancy.allot import MEASURES, Report
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.tally import Ask, first_part
from tests.unit.control.several_sites import Memory, MemoryBoard, Several
from tests.unit.control.site_events import Events

STEPS = 250
EVENTS = {
    "send": 0.7,
    "arrive": 1,
    "answer": 1,
    "give_up": 0.5,
    "sync": 4,
    "ask": 6,
    "end": 0.5,
    "time_passes": 0.3,
    "round": 1,
    "round_unheard": 1,
    "round_lost": 1,
    "site_is_silent": 0.1,
    "control_begins_anew": 0.15,
}
"""What may happen, and about how often beside the others: one run has more of one, and another
more of another."""

SEEDS = st.integers(0, 2**32)


def most_used(limits: Limits, events: dict[str, float], dice: random.Random) -> list[int]:
    """The most that was used of each limit at any time, over all gateways of all sites."""

    async def run() -> list[int]:
        world = Events(limits)
        await world.several.passes(4)
        most = [0] * len(MEASURES)
        weights = [weight * dice.random() for weight in events.values()]
        for event in dice.choices([*events], weights, k=STEPS):
            await getattr(world, event)(dice.randrange(6), dice.randrange(10))
            most = [*map(max, most, world.several.used())]
        return most

    return asyncio.run(run())


@given(SEEDS)
@settings(max_examples=150, deadline=None)
def test_whatever_is_lost_late_or_begun_anew_no_limit_is_passed_over_all_sites(seed: int) -> None:
    dice = random.Random(seed)
    at_a_time = dice.randint(1, 12)
    limits = Limits(requests_per_minute=15, tokens_per_minute=60, concurrent_requests=at_a_time)
    requests, tokens, concurrent, _ = most_used(limits, EVENTS, dice)
    assert requests <= 15
    assert tokens <= 60
    assert concurrent <= at_a_time


@given(SEEDS)
@settings(max_examples=50, deadline=None)
def test_a_redis_that_forgets_lets_each_site_pass_the_limit_by_the_first_part_at_most(
    seed: int,
) -> None:
    events = {**EVENTS, "site_is_silent": 0, "redis_forgets": 0.2}
    limits = Limits(requests_per_minute=15, tokens_per_minute=60)
    requests, tokens, *_ = most_used(limits, events, random.Random(seed))
    assert requests <= 15 + 3 * first_part(15)
    assert tokens <= 60 + 3 * first_part(60)


async def test_a_site_that_does_not_know_what_it_was_given_has_what_it_had() -> None:
    """What it wrote is there, though it has not heard that it is."""
    memory = Memory()
    boards = [MemoryBoard(memory, site) for site in ("east", "west")]
    several = Several(Limits(requests_per_minute=600), boards, gateways=2)
    (east, leaver), (_, stays), (west, eager), _ = several.gateways
    await several.passes(4)
    await east.sync(leaver)
    report = leaver.report(several.clock.now)
    await east.share(Report(leaver.id, report.number, report.claims, leaving=True))
    for _ in range(600):
        eager.tally.want(Ask(1, None), several.clock.now)
    await west.sync(eager)
    boards[0].fate = "unheard"
    await east.sites.round()
    assert east.sites.apart
    await west.sync(eager)
    await west.sites.round()
    await west.sync(eager)
    await east.sync(stays)
    got = [
        sum(one.offer(several.clock.now, Ask(1, None)) for _ in range(600))
        for one in (stays, eager)
    ]
    assert got == [270, 60], "the other half is for a gateway of its own that may come back"
