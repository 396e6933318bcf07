"""Clients of the benchmark of fairness: some ask when it is due, some as soon as they may."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Self

import aiohttp
import orjson

from serve_app.bench.client import PATH
from serve_app.bench.requests import TAIL_BYTES, WrongAnswer, all_tokens, is_output

TOKENS = 64
"""Of an answer, where nothing else is said."""
AGAIN_S = 0.1
"""A client that was refused asks again after so long, whatever it was told."""
_SILENCE_S = 60.0
_REFUSED = 503


@dataclass(frozen=True)
class Crowd:
    """Clients of one tenant, each of which asks again as soon as it is answered.

    Attributes:
        tokens: of each answer.
    """

    tenant: str
    clients: int
    tokens: int


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what became of it.

    Attributes:
        at_s: when it was sent, in seconds since its block began.
        over_s: when it was over.
        first_s: seconds from ``at_s`` to its first output, None if it was refused.
        tokens: what it used, the prompt's too.
    """

    tenant: str
    at_s: float
    over_s: float
    first_s: float | None
    tokens: int


class Clients:
    """Use as a context manager."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
        connector = aiohttp.TCPConnector(limit=0)
        self._session = aiohttp.ClientSession(self._url, connector=connector, timeout=timeout)
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._session.close()

    async def play(self, rates: Mapping[str, float], seconds: float, seed: int) -> list[Asked]:
        """Send so many requests a second of each tenant, at random; wait for all of them. What
        one tenant sends does not depend on who else is there."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._when_due(tenant, at_s, began))
                for tenant, rate in rates.items()
                for at_s in _times(rate, seconds, Random(f"{tenant} {seed}"))
            ]
        return [task.result() for task in tasks]

    async def crowd(self, crowds: Sequence[Crowd], seconds: float) -> list[Asked]:
        """Let crowds ask for so long."""
        began, asked = time.perf_counter(), list[Asked]()

        async def client(crowd: Crowd) -> None:
            while time.perf_counter() - began < seconds:
                one = await self._ask(crowd.tenant, crowd.tokens, began)
                asked.append(one)
                if one.first_s is None:
                    await asyncio.sleep(AGAIN_S)

        async with asyncio.TaskGroup() as group:
            for crowd in crowds:
                for _ in range(crowd.clients):
                    group.create_task(client(crowd))
        return asked

    async def _when_due(self, tenant: str, at_s: float, began: float) -> Asked:
        await asyncio.sleep(at_s - (time.perf_counter() - began))
        return await self._ask(tenant, TOKENS, began)

    async def _ask(self, tenant: str, tokens: int, began: float) -> Asked:
        sent, first, tail = time.perf_counter(), None, b""
        headers = {"Authorization": f"Bearer sk-{tenant}", "Content-Type": "application/json"}
        body = _body(next(self._ids), tokens)
        async with self._session.post(PATH, data=body, headers=headers) as answer:
            if answer.status == _REFUSED:
                return Asked(tenant, sent - began, time.perf_counter() - began, None, 0)
            if answer.status != 200:
                raise WrongAnswer(f"status {answer.status}: {(await answer.text())[:500]}")
            async for chunk in answer.content.iter_any():
                if first is None and is_output(chunk):
                    first = time.perf_counter() - sent
                tail = (tail + chunk)[-TAIL_BYTES:]
        over = time.perf_counter() - began
        return Asked(tenant, sent - began, over, first, all_tokens(tail))


def _times(rate: float, seconds: float, dice: Random) -> list[float]:
    """A Poisson process."""
    times, at = [], dice.expovariate(rate)
    while at < seconds:
        times.append(at)
        at += dice.expovariate(rate)
    return times


def _body(number: int, tokens: int) -> bytes:
    return orjson.dumps(
        {
            "messages": [{"role": "user", "content": f"Question {number}: what is new today?"}],
            "max_tokens": tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
