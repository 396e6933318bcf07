"""The measurement: one application, one routing at a time."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import aiohttp

from serve_app.bench.live.client import Asked, Clients
from serve_app.bench.live.loads import between
from serve_app.bench.live.plan import Plan
from serve_app.bench.live.results import Block
from serve_app.bench.live.routings import Routing
from serve_app.bench.requests import WrongAnswer
from serve_app.bench.sides import Server, SideFailed

SETTLE_S = 0.5
OnBlock = Callable[[Block], None]


async def sustainable(server: Server, plan: Plan) -> float:
    """Requests a second that the engines answer under Ray's default routing with many waiting.
    A first pass, which is not counted, has vLLM ready and every file in the page cache.

    Raises:
        SideFailed: the application ended, or answered wrongly.
    """
    everyone = replace(plan, zipf=0.0, block_s=4.0).requests(0, rate=25.0)
    many = replace(plan, block_s=60.0).requests(0, rate=100.0)
    try:
        async with Clients(server.url, plan.clients) as clients:
            await clients.play(Routing.ROUND_ROBIN, everyone)
            return await clients.exhaust(
                Routing.POWER_OF_TWO, many, plan.probe_streams, plan.probe_s
            )
    except ExceptionGroup as errors:
        raise _failed(server, "at the start", errors) from errors


async def measure(server: Server, plan: Plan, rate: float, loads: Path, on_block: OnBlock) -> None:
    """Go through the plan.

    Args:
        rate: requests a second.
        loads: the file engines write their loads to.
        on_block: told each block as it is over.

    Raises:
        SideFailed: the application ended, or answered wrongly.
    """
    async with Clients(server.url, plan.clients) as clients:
        for number, routing in plan.turns():
            await asyncio.sleep(SETTLE_S)
            server.must_live()
            began = time.time()
            try:
                asked = await clients.play(routing, plan.requests(number, rate))
            except ExceptionGroup as errors:
                raise _failed(server, routing.value, errors) from errors
            cold = between(loads, began + plan.warm_s, time.time())
            on_block(counted(number, routing, asked, plan.warm_s, cold))


def counted(
    number: int, routing: Routing, asked: Sequence[Asked], warm_s: float, loads: int
) -> Block:
    """A block without its warm-up."""
    later = tuple(one for one in asked if one.at_s >= warm_s)
    ends_s = max((one.at_s + one.done_s for one in later), default=warm_s)
    return Block(number, routing, later, max(ends_s - warm_s, 1e-9), loads)


def _failed(server: Server, where: str, errors: ExceptionGroup[Exception]) -> Exception:
    _, unforeseen = errors.split((WrongAnswer, aiohttp.ClientError, TimeoutError))
    if unforeseen is not None:
        return unforeseen
    first = errors.exceptions[0]
    return SideFailed(f"{server.name}, {where}: {first!r}\n{server.last_words()}")
