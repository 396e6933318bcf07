"""Turns at a full fleet, as clients meet them. Each replica has four seats."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from serve_app.routing.messages import Call, Reply
from tests.unit.fake_gateway import ACME_KEY, ROOT_KEY, Browser, Site, a_site
from tests.unit.fakes import FakeReplicas, until

HELLO = [{"role": "user", "content": "hello"}]
SEATS = 4
MOST = SEATS + 1
"""One more than the engine has, so that it never runs dry."""


class Gate:
    """Answers one request for each time it is opened."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self._open = asyncio.Semaphore(0)

    def open(self, requests: int) -> None:
        for _ in range(requests):
            self._open.release()

    async def __call__(self, call: Call, _replica: str) -> Reply:
        await self._open.acquire()
        self.answered.append(call.body["user"])
        return Reply(200, b"{}")


@asynccontextmanager
async def a_full_site(gate: Gate, **settings: float) -> AsyncIterator[Site]:
    async with a_site(FakeReplicas("r1", answer=gate), **settings) as site:
        yield site


def ask(site: Site, who: str, key: str = ACME_KEY) -> "asyncio.Task[httpx.Response]":
    return asyncio.create_task(site.post(key=key, messages=HELLO, model="finance", user=who))


async def test_what_engines_have_no_seat_for_waits_here() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=30) as site:
        asked = [ask(site, "acme") for _ in range(12)]
        await until(lambda: len(site.replicas.calls) == MOST)
        await asyncio.sleep(0.02)
        assert len(site.replicas.calls) == MOST
        gate.open(12)
        assert {(await one).status_code for one in asked} == {200}
        assert site.metrics.relief == ["queued"] * (12 - MOST)


async def test_a_newcomer_does_not_queue_behind_a_tenant_that_sent_much() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=30) as site:
        noisy = [ask(site, "acme") for _ in range(20)]
        await until(lambda: len(site.replicas.calls) == MOST)
        quiet = [ask(site, "root", ROOT_KEY) for _ in range(2)]
        await asyncio.sleep(0.15)  # who is about is looked at now and then
        for _ in range(30):
            gate.open(1)
            await asyncio.sleep(0.005)
        assert {(await one).status_code for one in (*noisy, *quiet)} == {200}
        assert max(n for n, who in enumerate(gate.answered) if who == "root") <= MOST + 3


async def test_a_tenant_below_its_share_waits_for_nobody_and_is_first_in_the_engine() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=30) as site:
        noisy = [ask(site, "acme") for _ in range(20)]
        await until(lambda: len(site.replicas.calls) == MOST)
        quiet = ask(site, "root", ROOT_KEY)
        await until(lambda: len(site.replicas.calls) == MOST + 1)
        assert [call.body.get("priority") for call in site.replicas.calls] == [None] * MOST + [-1]
        gate.open(21)
        assert {(await one).status_code for one in (*noisy, quiet)} == {200}


async def test_a_client_that_leaves_while_it_waits_leaves_the_queue() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=30) as site:
        asked = [ask(site, "acme") for _ in range(MOST)]
        await until(lambda: len(site.replicas.calls) == MOST)
        browser = Browser(site, {"messages": HELLO, "user": "left"})
        queue = site.gateway._turnstile._queue
        await until(lambda: queue.waiting == 1)
        browser.hang_up()
        await asyncio.wait([browser.request])
        assert queue.waiting == 0
        gate.open(MOST)
        assert {(await one).status_code for one in asked} == {200}
        assert (queue.seated, site.gateway._turnstile._turns) == (0, {})


async def test_nobody_waits_longer_than_is_promised() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=0.1) as site:
        asked = [ask(site, "acme") for _ in range(MOST)]
        await until(lambda: len(site.replicas.calls) == MOST)
        refused = await ask(site, "late")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        gate.open(MOST + 1)
        assert {(await one).status_code for one in asked} == {200}
        assert (await ask(site, "again")).status_code == 200


async def test_a_queue_that_is_too_long_refuses_at_once_with_when_to_come_again() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=2) as site:
        done = [ask(site, "acme") for _ in range(2)]
        gate.open(2)
        assert {(await one).status_code for one in done} == {200}
        asked = [ask(site, "acme") for _ in range(40)]
        refused = next(iter(await asyncio.gather(*asked[30:], return_exceptions=False)))
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        gate.open(40)
        await asyncio.gather(*asked)


async def test_what_does_not_generate_takes_no_seat() -> None:
    gate = Gate()
    async with a_full_site(gate, max_wait_s=30) as site:
        asked = [ask(site, "acme") for _ in range(MOST)]
        await until(lambda: len(site.replicas.calls) == MOST)
        counted = asyncio.create_task(site.post("/tokenize", prompt="p", user="t"))
        await until(lambda: len(site.replicas.calls) == MOST + 1)
        gate.open(MOST + 1)
        assert {(await one).status_code for one in (*asked, counted)} == {200}
