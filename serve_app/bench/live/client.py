"""The clients: requests leave when they are due, whatever has become of those before."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from itertools import count
from typing import Self

import aiohttp
import orjson

from serve_app.bench.client import PATH
from serve_app.bench.live.derive import key, name
from serve_app.bench.live.routings import Routing, mark
from serve_app.bench.requests import TAIL_BYTES, WrongAnswer, is_output, streamed_tokens
from serve_app.simulator.request import Arrival

_SILENCE_S = 60.0
_REFUSED = 503
_WORDS = ("what", "is", "new", "today", "and", "who", "said", "so")


@dataclass(frozen=True, slots=True)
class Asked:
    """One request and what became of it.

    Attributes:
        at_s: when it was due, in seconds since its block began.
        first_s: seconds from then to its first output, None if it was refused.
        done_s: seconds from then to its end.
        tokens: what it generated.
    """

    at_s: float
    first_s: float | None
    done_s: float
    tokens: int


class Clients:
    """Use as a context manager.

    Args:
        url: of the application.
        number: clients, each with a key and connections of its own.
    """

    def __init__(self, url: str, number: int) -> None:
        self._url = url
        self._number = number
        self._stack = AsyncExitStack()
        self._sessions: list[aiohttp.ClientSession] = []
        self._ids = count(1)

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
        for client in range(self._number):
            session = aiohttp.ClientSession(
                self._url,
                connector=aiohttp.TCPConnector(limit=0),
                timeout=timeout,
                headers={"Authorization": f"Bearer {key(client)}"},
            )
            self._sessions.append(await self._stack.enter_async_context(session))
        return self

    async def __aexit__(self, *_error: object) -> None:
        await self._stack.aclose()

    async def play(self, routing: Routing, arrivals: Sequence[Arrival]) -> list[Asked]:
        """Send ``arrivals`` at their times, and wait for all of them.

        Raises:
            WrongAnswer, aiohttp.ClientError, TimeoutError: the application failed.
        """
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(self._when_due(routing, arrival, began)) for arrival in arrivals
            ]
        return [task.result() for task in tasks]

    async def exhaust(
        self, routing: Routing, arrivals: Sequence[Arrival], streams: int, seconds: float
    ) -> float:
        """Requests a second that the application answers when so many wait at any time."""
        began, done = time.perf_counter(), 0
        coming = iter(arrivals)

        async def stream() -> None:
            nonlocal done
            for arrival in coming:
                await self._ask(routing, arrival, began)
                if time.perf_counter() - began > seconds:
                    return
                done += 1

        async with asyncio.TaskGroup() as group:
            for _ in range(streams):
                group.create_task(stream())
        return done / seconds

    async def _when_due(self, routing: Routing, arrival: Arrival, began: float) -> Asked:
        await asyncio.sleep(arrival.at_s - (time.perf_counter() - began))
        return await self._ask(routing, arrival, began + arrival.at_s)

    async def _ask(self, routing: Routing, arrival: Arrival, due: float) -> Asked:
        number = next(self._ids)
        session = self._sessions[number % len(self._sessions)]
        headers = {"x-request-id": mark(routing, number), "Content-Type": "application/json"}
        first, tail = None, b""
        async with session.post(PATH, data=_body(arrival, number), headers=headers) as answer:
            if answer.status == _REFUSED:
                return Asked(arrival.at_s, None, time.perf_counter() - due, 0)
            if answer.status != 200:
                raise WrongAnswer(f"status {answer.status}: {(await answer.text())[:500]}")
            async for chunk in answer.content.iter_any():
                if first is None and is_output(chunk):
                    first = time.perf_counter() - due
                tail = (tail + chunk)[-TAIL_BYTES:]
        return Asked(arrival.at_s, first, time.perf_counter() - due, streamed_tokens(tail))


def _body(arrival: Arrival, number: int) -> bytes:
    """A prompt of about as many tokens as asked for, unlike any other from its start."""
    assert arrival.adapter is not None
    words = [_WORDS[n % len(_WORDS)] for n in range(arrival.prompt)]
    return orjson.dumps(
        {
            "model": name(arrival.adapter),
            "messages": [{"role": "user", "content": f"{number}: {' '.join(words)}"}],
            "max_tokens": arrival.output,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
    )
