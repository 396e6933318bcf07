"""The measurement: both sides up, one asked at a time, the other idle."""

import asyncio
from collections.abc import Callable, Mapping

import aiohttp

from serve_app.bench import cpu
from serve_app.bench.client import burst
from serve_app.bench.cpu import Snapshot
from serve_app.bench.derive import Target
from serve_app.bench.plan import Load, Plan, Side
from serve_app.bench.requests import WrongAnswer
from serve_app.bench.results import Burst, Sample
from serve_app.bench.roles import Role, spent
from serve_app.bench.sides import Server, SideFailed

SETTLE_S = 0.5
"""Before each turn: what a side still does for its last requests must not slow the other."""

OnSample = Callable[[Sample], None]


async def measure(
    servers: Mapping[Side, Server], targets: list[Target], plan: Plan, on_sample: OnSample
) -> list[Sample]:
    """Go through the plan.

    Args:
        on_sample: told each sample as it is taken, those of the warm-up included.

    Raises:
        SideFailed: a side ended, or answered wrongly.
    """
    samples = []
    for number, load, side in plan.turns():
        await asyncio.sleep(SETTLE_S)
        sample = await _turn(servers, targets, side, load, number)
        on_sample(sample)
        samples.append(sample)
    return [sample for sample in samples if sample.round > 0]


async def _turn(
    servers: Mapping[Side, Server], targets: list[Target], side: Side, load: Load, number: int
) -> Sample:
    roots = {one: server.pid for one, server in servers.items()}
    for server in servers.values():
        server.must_live()
    before = cpu.look(roots)
    went = await ask(servers[side], load, targets)
    after = cpu.look(roots)
    return _sample(side, number, load, went, before, after)


async def ask(server: Server, load: Load, targets: list[Target]) -> Burst:
    """Put one load on one side.

    Raises:
        SideFailed: it ended, or answered wrongly.
    """
    try:
        return await burst(server.url, load, targets)
    except (WrongAnswer, aiohttp.ClientError, TimeoutError) as error:
        problem = f"{server.name}, {load.name}: {error!r}"
        raise SideFailed(f"{problem}\n{server.last_words()}") from error


def _sample(
    side: Side, number: int, load: Load, went: Burst, before: Snapshot, after: Snapshot
) -> Sample:
    used = {one: spent(before.sides[one], after.sides[one]) for one in Side}
    client_s = after.client_s - before.client_s
    known_s = client_s + sum(sum(roles.values()) for roles in used.values())
    strangers_s = max(0.0, after.machine_s - before.machine_s - known_s)
    return Sample(
        side=side,
        round=number,
        load=load,
        burst=went,
        used_s={**used[side], Role.CLIENT: client_s, Role.STRANGERS: strangers_s},
        idle_s=sum(sum(used[other].values()) for other in Side if other is not side),
    )
