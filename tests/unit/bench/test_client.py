from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from serve_app.bench.client import PATH, burst
from serve_app.bench.derive import Target
from serve_app.bench.plan import Load
from serve_app.bench.requests import WrongAnswer

TARGETS = [Target("key", "a", "/a")]
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post(PATH, handler)
    async with TestServer(app) as server:
        yield str(server.make_url("/"))


def generating(tokens: int) -> Handler:
    """A server that answers with so many tokens, two in each event."""

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for _ in range(tokens // 2):
            await response.write(b'data: {"choices":[{"delta":{"content":"two tokens"}}]}\n\n')
        usage = b'data: {"choices":[],"usage":{"completion_tokens":%d}}\n\n' % tokens
        await response.write(usage + b"data: [DONE]\n\n")
        return response

    async def answer(request: web.Request) -> web.StreamResponse:
        if (await request.json())["stream"]:
            return await stream(request)
        return web.json_response({"usage": {"completion_tokens": tokens}})

    return answer


async def test_a_burst_counts_tokens_and_times_every_first_one() -> None:
    async with serving(generating(20)) as url:
        went = await burst(url, Load(streams=3, requests_per_stream=2, tokens=20), TARGETS)
    assert went.tokens == 120
    assert len(went.first_s) == 6
    assert 0 < max(went.first_s) < went.wall_s


async def test_answers_in_one_piece_are_counted_too() -> None:
    async with serving(generating(1)) as url:
        went = await burst(url, Load(2, 3, 1, streamed=False), TARGETS)
    assert (went.tokens, len(went.first_s)) == (6, 6)


async def test_a_side_that_generates_less_than_asked_is_found_out() -> None:
    async with serving(generating(18)) as url:
        with pytest.raises(WrongAnswer, match="asked for 20 tokens, got 18"):
            await burst(url, Load(1, 1, 20), TARGETS)


async def test_a_side_that_refuses_is_found_out_with_what_it_said() -> None:
    async def refuse(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=429, text="too much")

    async with serving(refuse) as url:
        with pytest.raises(WrongAnswer, match="429: too much"):
            await burst(url, Load(1, 1, 20), TARGETS)
