"""Handle of the control deployment: publishes what a test tells it to, answers from a script."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from serve_app.adapters.catalog import Entry
from serve_app.adapters.commands import Answer, Command
from serve_app.control.authority import Authority
from serve_app.feed import Update
from serve_app.tenancy.allot import Report, Shares
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.roll import Roll
from serve_app.tenancy.usage import Batch


class FakeStream:
    """One follower's stream of updates; an exception breaks it."""

    def __init__(self) -> None:
        self.traffic: asyncio.Queue[Update | Exception] = asyncio.Queue()
        self.cancelled = False

    async def __aiter__(self) -> AsyncIterator[Update]:
        while True:
            update = await self.traffic.get()
            if isinstance(update, Exception):
                raise update
            yield update

    def cancel(self) -> None:
        self.cancelled = True


class _Remote:
    def __init__(self, method: Callable[..., object]) -> None:
        self.remote = method


class FakeControl:
    """Control, over in-memory entries.

    Attributes:
        entries, roll, current: what there is, and the revision of it.
        streams: every stream that was opened.
        commands: everything it was asked to do.
        authority: the real one, which divides limits.
        shares: how often it was asked to.
        batches: of usage, as they came.
        asked: how often it was asked for the revision.
        away: it raises instead of answering, and streams break as they are opened.
        answer: what ``manage`` does.
    """

    def __init__(self, roll: Roll, entries: dict[str, Entry]) -> None:
        self.roll = roll
        self.entries = entries
        self.current = 1
        self.streams: list[FakeStream] = []
        self.commands: list[Command] = []
        self.asked = 0
        self.away = False
        self.answer: Callable[[Command], Awaitable[Answer]] = self._done
        self.follow = _Remote(self._follow)
        self.manage = _Remote(self._manage)
        self.revision = _Remote(self._revision)
        self.authority = Authority(time.monotonic, lambda _: (0, 0), learning_s=0)
        self.shares = 0
        self.share = _Remote(self._share)
        self.batches: list[Batch] = []
        self.record = _Remote(self._record)

    def options(self, *, stream: bool) -> "FakeControl":
        assert stream
        return self

    def publish(self, **entries: Entry | None) -> None:
        """Change entries and tell every follower."""
        self.change(**entries)
        self.tell(**entries)

    def change(self, **entries: Entry | None) -> None:
        """Change entries and tell nobody yet."""
        self.current += 1
        self.entries = {n: e for n, e in (self.entries | entries).items() if e is not None}

    def tell(self, **entries: Entry | None) -> None:
        for stream in self.streams:
            stream.traffic.put_nowait(Update(self.current, entries=entries))

    def limit(self, tenant: str, limits: Limits) -> None:
        """Give a tenant other limits, and tell every follower."""
        changed = replace(self.roll.tenants[tenant], limits=limits)
        self.current += 1
        self.roll = Roll({**self.roll.tenants, tenant: changed}, self.roll.keys)
        for stream in self.streams:
            stream.traffic.put_nowait(Update(self.current, tenants={tenant: changed}))

    def breaks(self) -> None:
        """Every stream ends with an error."""
        for stream in self.streams:
            stream.traffic.put_nowait(ConnectionError("control died"))

    def _follow(self, tenants: bool) -> FakeStream:
        stream = FakeStream()
        whole = Update(self.current, True, entries=dict(self.entries))
        if tenants:
            whole = replace(whole, tenants=self.roll.tenants, keys=self.roll.keys)
        stream.traffic.put_nowait(ConnectionError("away") if self.away else whole)
        self.streams.append(stream)
        return stream

    async def _manage(self, command: Command) -> Answer:
        self.commands.append(command)
        if self.away:
            raise ConnectionError("away")
        return await self.answer(command)

    async def _record(self, batch: Batch) -> None:
        if self.away:
            raise ConnectionError("away")
        self.batches.append(batch)

    async def _share(self, report: Report) -> Shares:
        self.shares += 1
        if self.away:
            raise ConnectionError("away")
        return self.authority.share(report)

    async def _revision(self) -> int:
        self.asked += 1
        if self.away:
            raise ConnectionError("away")
        return self.current

    async def _done(self, _command: Command) -> Answer:
        return Answer(200, {"object": "lora"}, self.current)
