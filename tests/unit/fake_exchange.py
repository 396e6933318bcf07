"""An exchange over a fake bus and scripted replicas."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing, contextmanager

from serve_app.gateway.exchange import Exchange
from serve_app.gateway.mailbox import Mailbox
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, Reply, Usage
from tests.unit.fakes import FakeReplicas, a_call, a_version, news_of

R1, R2 = "r1", "r2"
WHOLE = Reply(200, b'{"id":"1"}', Usage(3, 2))
STREAMED = Reply(200, usage=Usage(3, 2))


class FakeBuses:
    """The gateway's mailboxes without any bus; the fleet's books are real.

    Attributes:
        mailboxes: every one that was opened, in order.
        open_calls: numbers that were not closed.
    """

    def __init__(self) -> None:
        self.fleet = Fleet("g", lambda _: None)
        self.fleet.replicas_are(frozenset({R1, R2}))
        for replica in (R1, R2):
            self.fleet.heard(replica, news_of())
        self.mailboxes: list[Mailbox] = []
        self.open_calls: set[int] = set()

    def open(self, call: Call, max_bytes: int) -> Mailbox:
        call.number, call.fleet, call.over = len(self.mailboxes) + 1, self.fleet, False
        self.mailboxes.append(Mailbox(max_bytes))
        self.open_calls.add(call.number)
        return self.mailboxes[-1]

    def close(self, call: Call) -> None:
        self.open_calls.discard(call.number)


class ExchangeBench:
    """What an exchange is given, and its fate."""

    def __init__(self, answer: Callable[[int], Awaitable[Reply]]) -> None:
        """``answer`` gives the reply to the attempt of that number, from 1."""
        self._answer = answer
        self.buses = FakeBuses()
        self.replicas = FakeReplicas(R1, R2, answer=self._attempt)
        self.keys: list[str] = []

    @property
    def attempts(self) -> list[str]:
        return self.replicas.routed

    @contextmanager
    def exchange(self, timeout_s: float = 5, max_bytes: int = 1000) -> Iterator[Exchange]:
        deadline = asyncio.get_running_loop().time() + timeout_s
        call = a_call(a_version(), fleet=self.buses.fleet)
        exchange = Exchange(call, self.buses, self._handle, deadline, max_bytes)  # type: ignore[arg-type]
        exchange.open()
        with closing(exchange):
            yield exchange
        assert self.buses.open_calls == set(), "a mailbox is left"
        assert self.buses.fleet.outstanding() == 0, "a booking is left"

    def _handle(self, key: str) -> FakeReplicas:
        self.keys.append(key)
        return self.replicas

    async def _attempt(self, _call: Call, _replica: str) -> Reply:
        return await self._answer(len(self.attempts))


def replying(*replies: Reply | Exception) -> ExchangeBench:
    async def answer(attempt: int) -> Reply:
        await asyncio.sleep(0)
        reply = replies[attempt - 1]
        if isinstance(reply, Exception):
            raise reply
        return reply

    return ExchangeBench(answer)


def hanging() -> ExchangeBench:
    async def answer(_attempt: int) -> Reply:
        await asyncio.sleep(3600)
        return WHOLE

    return ExchangeBench(answer)


async def all_of(exchange: Exchange) -> bytes:
    """Everything an exchange still has to give."""
    whole = b""
    while (data := await exchange.next(5)) is not None:
        whole += data
    return whole
