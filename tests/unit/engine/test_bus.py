import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.engine.bus import MAX_MESSAGE_BYTES, Channel, messages
from serve_app.routing.messages import BusMessage, News, Usage
from tests.unit.fakes import news_of


@pytest.fixture
async def channel() -> Channel:
    return Channel()


async def test_nothing_is_taken_from_an_empty_channel(channel: Channel) -> None:
    assert channel.take() == []


async def test_all_output_of_a_request_leaves_in_one_frame(channel: Channel) -> None:
    channel.send(1, b"a")
    channel.send(2, b"x")
    channel.send(1, b"b")
    assert channel.take() == [(1, b"ab"), (2, b"x")]
    assert channel.take() == []


async def test_the_end_follows_the_output_it_ends(channel: Channel) -> None:
    channel.send(1, b"a")
    channel.end(1)
    channel.end(2)
    frames = channel.take()
    assert frames.index((1, b"a")) < frames.index((1, None))
    assert (2, None) in frames
    assert len(frames) == 3


async def test_what_is_dropped_never_leaves(channel: Channel) -> None:
    channel.send(1, b"a")
    channel.end(1)
    channel.send(2, b"x")
    channel.drop(1)
    assert channel.take() == [(2, b"x")]


async def test_a_message_is_never_much_larger_than_its_limit(channel: Channel) -> None:
    for number in range(3):
        for _ in range(3):
            channel.send(number, b"x" * (MAX_MESSAGE_BYTES // 4))
    sizes = []
    while frames := channel.take():
        sizes.append(sum(len(data or b"") for _, data in frames))
    assert max(sizes) <= MAX_MESSAGE_BYTES * 5 // 4
    assert sum(sizes) == 9 * (MAX_MESSAGE_BYTES // 4)


async def test_after_a_large_answer_small_ones_share_a_frame_again(channel: Channel) -> None:
    for _ in range(4):
        channel.send(1, b"x" * (MAX_MESSAGE_BYTES // 2))
    while channel.take():
        pass
    channel.send(2, b"a")
    channel.send(2, b"b")
    assert channel.take() == [(2, b"ab")]


events = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 4), st.integers(0, 40)),
    st.tuples(st.sampled_from(["end", "drop", "take"]), st.integers(1, 4), st.just(0)),
    st.tuples(st.just("send"), st.integers(1, 4), st.just(MAX_MESSAGE_BYTES // 2)),
)


class Traffic:
    """A channel, what was put into it and what came out of it, by request."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.sent: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.arrived: defaultdict[int, bytearray] = defaultdict(bytearray)
        self.ended: list[int] = []
        self.closed: set[int] = set()
        self.dropped: set[int] = set()

    def send(self, number: int, size: int) -> None:
        data = bytes([len(self.sent[number]) % 251]) * (size + 1)
        self.sent[number] += data
        self.channel.send(number, data)

    def end(self, number: int, _size: int) -> None:
        self.closed.add(number)
        self.channel.end(number)

    def drop(self, number: int, _size: int) -> None:
        self.dropped.add(number)
        self.channel.drop(number)

    def take(self) -> bool:
        frames = self.channel.take()
        for number, data in frames:
            assert number not in self.ended, "output after its end"
            if data is None:
                self.ended.append(number)
            else:
                assert data, "an empty frame"
                self.arrived[number] += data
        return bool(frames)

    def play(self, action: str, number: int, size: int) -> None:
        if action == "take":
            self.take()
        elif number not in self.closed | self.dropped:
            getattr(self, action)(number, size)


@given(st.lists(events, max_size=40))
def test_every_byte_arrives_once_and_in_order(program: list[tuple[str, int, int]]) -> None:
    traffic = Traffic()
    for action, number, size in program:
        traffic.play(action, number, size)
    while traffic.take():
        pass
    assert sorted(traffic.ended) == sorted(traffic.closed)
    for number, data in traffic.sent.items():
        if number in traffic.dropped:
            assert data.startswith(traffic.arrived[number])
        else:
            assert traffic.arrived[number] == data


async def test_waiting_ends_with_the_first_output(channel: Channel) -> None:
    waiting = asyncio.ensure_future(channel.filled(5))
    await asyncio.sleep(0)
    channel.end(1)
    assert await waiting is True
    assert await channel.filled(0) is True


async def test_waiting_ends_without_output_after_its_time(channel: Channel) -> None:
    channel.send(1, b"a")
    channel.take()
    assert await channel.filled(0.001) is False


class Clockwork:
    """The bus's news, given out when asked for."""

    def __init__(self) -> None:
        self.due: list[News] = [news_of()]

    def __call__(self) -> News | None:
        return self.due.pop() if self.due else None


async def _next(stream: AsyncIterator[BusMessage]) -> BusMessage:
    async with asyncio.timeout(5):
        return await anext(stream)


async def test_the_first_message_brings_news_at_once(channel: Channel) -> None:
    async with aclosing(messages(channel, lambda: True, Clockwork(), 0, 60)) as stream:  # type: ignore[type-var]
        assert await _next(stream) == BusMessage([], news_of())


async def test_output_leaves_as_soon_as_there_is_any(channel: Channel) -> None:
    async with aclosing(messages(channel, lambda: True, Clockwork(), 0, 60)) as stream:  # type: ignore[type-var]
        await _next(stream)
        coming = asyncio.ensure_future(_next(stream))
        await asyncio.sleep(0)
        channel.send(1, b"a")
        assert await coming == BusMessage([(1, b"a")], None)


async def test_a_silent_channel_still_beats(channel: Channel) -> None:
    async with aclosing(messages(channel, lambda: True, Clockwork(), 0, 0.001)) as stream:  # type: ignore[type-var]
        await _next(stream)
        assert await _next(stream) == BusMessage([], None)


async def test_output_gathers_while_the_gap_lasts(channel: Channel) -> None:
    loop = asyncio.get_running_loop()
    async with aclosing(messages(channel, lambda: True, Clockwork(), 0.02, 60)) as stream:  # type: ignore[type-var]
        await _next(stream)
        channel.send(1, b"a")
        await _next(stream)
        left = loop.time()
        channel.send(1, b"b")
        loop.call_later(0.005, channel.send, 1, b"c")
        assert (await _next(stream)).frames == [(1, b"bc")]
        assert loop.time() - left >= 0.015


class _Counting:
    """A stream that has used so much."""

    def __init__(self, tokens: int) -> None:
        self.usage = Usage(3, tokens)

    @property
    def events(self) -> AsyncGenerator[bytes, None]:
        raise NotImplementedError


async def test_output_leaves_with_what_its_request_has_used_so_far(channel: Channel) -> None:
    stream = _Counting(1)
    channel.begin(1, stream)
    channel.send(1, b"a")
    assert channel.used(channel.take()) == {1: Usage(3, 1)}
    stream.usage = Usage(3, 2)
    channel.send(1, b"b")
    channel.end(1)
    assert channel.used(channel.take()) == {1: Usage(3, 2)}
    assert channel._streams == {}


async def test_nothing_is_said_of_use_while_output_is_still_to_come(channel: Channel) -> None:
    channel.begin(1, _Counting(9))
    for _ in range(3):
        channel.send(1, b"x" * MAX_MESSAGE_BYTES)
    assert channel.used(channel.take()) == {}
    channel.drop(1)
    assert channel._streams == {}
