"""The client: one process, one event loop, and as little work per byte as it can do."""

import asyncio
import time
from itertools import chain

import aiohttp

from serve_app.bench.derive import Target
from serve_app.bench.plan import Load
from serve_app.bench.requests import (
    TAIL_BYTES,
    Prepared,
    WrongAnswer,
    is_output,
    must_be,
    prepare,
    streamed_tokens,
    whole_tokens,
)
from serve_app.bench.results import Burst

PATH = "/v1/chat/completions"
_SILENCE_S = 60.0


async def burst(url: str, load: Load, targets: list[Target]) -> Burst:
    """Send a load, all streams starting at once. Connections are new, for both sides alike: they
    close idle ones at different times.

    Raises:
        WrongAnswer, aiohttp.ClientError, TimeoutError: the side failed.
    """
    requests = [prepare(load, targets, number) for number in range(load.requests)]
    timeout = aiohttp.ClientTimeout(total=None, sock_read=_SILENCE_S)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(url, connector=connector, timeout=timeout) as session:
        began = time.perf_counter()
        streams = await asyncio.gather(
            *(_stream(session, load, requests[n :: load.streams]) for n in range(load.streams))
        )
        wall_s = time.perf_counter() - began
    return Burst(wall_s, load.requests * load.tokens, tuple(chain.from_iterable(streams)))


async def _stream(
    session: aiohttp.ClientSession, load: Load, requests: list[Prepared]
) -> tuple[float, ...]:
    ask = _streamed if load.streamed else _whole
    return tuple([await ask(session, load, request) for request in requests])


async def _streamed(session: aiohttp.ClientSession, load: Load, request: Prepared) -> float:
    began = time.perf_counter()
    first: float | None = None
    tail = b""
    async with session.post(PATH, data=request.body, headers=request.headers) as answer:
        await _must_be_ok(answer)
        async for chunk in answer.content.iter_any():
            if first is None and is_output(chunk):
                first = time.perf_counter() - began
            tail = (tail + chunk)[-TAIL_BYTES:]
    must_be(load, streamed_tokens(tail))
    assert first is not None
    return first


async def _whole(session: aiohttp.ClientSession, load: Load, request: Prepared) -> float:
    began = time.perf_counter()
    async with session.post(PATH, data=request.body, headers=request.headers) as answer:
        await _must_be_ok(answer)
        body = await answer.read()
    must_be(load, whole_tokens(body))
    return time.perf_counter() - began


async def _must_be_ok(answer: aiohttp.ClientResponse) -> None:
    if answer.status != 200:
        raise WrongAnswer(f"status {answer.status}: {(await answer.text())[:500]}")
