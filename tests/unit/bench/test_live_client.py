import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from multidict import CIMultiDict

from serve_app.bench.client import PATH
from serve_app.bench.live.client import Clients
from serve_app.bench.live.routings import Routing, routing_in
from serve_app.simulator.request import Arrival


class Application:
    """Streams as many tokens as it is asked for; the first of them waits for ``go``."""

    def __init__(self) -> None:
        self.asked: list[tuple[Any, CIMultiDict[str]]] = []
        self.go = asyncio.Event()
        self.status = 200
        self.all_here = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.asked.append((body, request.headers.copy()))
        if len(self.asked) == 3:
            self.all_here.set()
        if self.status != 200:
            return web.Response(status=self.status, text="no")
        response = web.StreamResponse()
        await response.prepare(request)
        await self.go.wait()
        await response.write(b'data: {"choices":[{"delta":{"content":"x"}}]}\n\n')
        usage = b'data: {"choices":[],"usage":{"completion_tokens":%d}}\n\n' % body["max_tokens"]
        await response.write(usage + b"data: [DONE]\n\n")
        return response

    @asynccontextmanager
    async def clients(self, number: int = 2) -> AsyncIterator[Clients]:
        app = web.Application()
        app.router.add_post(PATH, self.answer)
        async with TestServer(app) as server, Clients(str(server.make_url("/")), number) as clients:
            yield clients


ARRIVALS = [Arrival(0.01 * n, n, prompt=5, output=7) for n in range(3)]


async def test_requests_leave_when_due_whether_or_not_those_before_are_answered() -> None:
    app = Application()
    async with app.clients() as clients:
        playing = asyncio.create_task(clients.play(Routing.MULTIPLEX, ARRIVALS))
        async with asyncio.timeout(10):
            await app.all_here.wait()
            app.go.set()
            asked = await playing
    assert [one.tokens for one in asked] == [7, 7, 7]
    assert all(one.first_s is not None and 0 < one.first_s <= one.done_s for one in asked)


async def test_every_request_says_who_places_it_and_clients_have_keys_of_their_own() -> None:
    app = Application()
    app.go.set()
    async with app.clients(number=2) as clients:
        await clients.play(Routing.POWER_OF_TWO, ARRIVALS)
    assert {body["model"] for body, _ in app.asked} == {"live-00", "live-01", "live-02"}
    ids = [headers["x-request-id"] for _, headers in app.asked]
    assert {routing_in(id_) for id_ in ids} == {Routing.POWER_OF_TWO}
    assert len(set(ids)) == 3
    assert len({headers["Authorization"] for _, headers in app.asked}) == 2


async def test_a_refusal_is_counted_and_has_no_first_token() -> None:
    app = Application()
    app.status = 503
    async with app.clients() as clients:
        asked = await clients.play(Routing.OURS, ARRIVALS)
    assert [(one.first_s, one.tokens) for one in asked] == [(None, 0)] * 3


async def test_any_other_answer_is_an_error_with_what_it_said() -> None:
    app = Application()
    app.status = 500
    async with app.clients() as clients:
        with pytest.raises(ExceptionGroup) as caught:
            await clients.play(Routing.OURS, ARRIVALS)
    assert "status 500: no" in str(caught.value.exceptions[0])
