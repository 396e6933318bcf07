import asyncio
from collections.abc import AsyncIterator

import pytest

from serve_app.feed import Follower, Update
from tests.unit.fake_control import FakeStream
from tests.unit.fakes import until


class Streams:
    """Gives out streams, and a new one after every break."""

    def __init__(self) -> None:
        self.opened: list[FakeStream] = []
        self.heard: list[Update] = []

    def subscribe(self) -> FakeStream:
        self.opened.append(FakeStream())
        return self.opened[-1]

    def send(self, update: Update | Exception) -> None:
        self.opened[-1].traffic.put_nowait(update)


@pytest.fixture
async def streams() -> Streams:
    return Streams()


@pytest.fixture
async def follower(streams: Streams) -> AsyncIterator[Follower]:
    follower = Follower(streams.subscribe, streams.heard.append, retry_s=0)
    await until(lambda: streams.opened)
    yield follower
    await follower.close()


async def test_updates_are_heard_in_order(streams: Streams, follower: Follower) -> None:
    for revision in (3, 4, 7):
        streams.send(Update(revision))
    await until(lambda: follower.revision == 7)
    assert [update.revision for update in streams.heard] == [3, 4, 7]


async def test_a_revision_is_waited_for(streams: Streams, follower: Follower) -> None:
    waiting = asyncio.create_task(follower.reached(5, within_s=5))
    streams.send(Update(4))
    await until(lambda: follower.revision == 4)
    assert not waiting.done()
    streams.send(Update(6))
    assert await waiting


async def test_a_revision_that_does_not_come_is_given_up(follower: Follower) -> None:
    assert not await follower.reached(1, within_s=0.01)


async def test_a_broken_stream_is_opened_again(streams: Streams, follower: Follower) -> None:
    streams.send(ConnectionError("gone"))
    await until(lambda: len(streams.opened) == 2)
    assert streams.opened[0].cancelled
    streams.send(Update(1, whole=True))
    assert await follower.reached(1, within_s=5)


async def test_a_control_restored_to_an_earlier_revision_is_believed(
    streams: Streams, follower: Follower
) -> None:
    streams.send(Update(9, whole=True))
    streams.send(Update(2, whole=True))
    await until(lambda: follower.revision == 2)


async def test_a_closed_follower_gives_its_stream_up(streams: Streams) -> None:
    follower = Follower(streams.subscribe, streams.heard.append)
    await until(lambda: streams.opened)
    await follower.close()
    assert streams.opened[0].cancelled
