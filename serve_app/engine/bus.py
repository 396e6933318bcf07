"""The replica's end of the token bus: one channel a gateway, many requests in one message.

A stream a request would cost one Ray message a token. Here all output for one gateway since the
last message leaves together, at most one message every few milliseconds.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

from serve_app.engine.interface import Stream
from serve_app.routing.messages import BusMessage, News, Usage

MAX_MESSAGE_BYTES = 1 << 20


class Channel:
    """Output waiting for one gateway. Used from one event loop."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}
        self._waiting: dict[int, list[bytes]] = {}
        self._ended: set[int] = set()
        self._bytes = 0
        self._filled = asyncio.Event()

    def begin(self, number: int, stream: Stream) -> None:
        """The output of a request is to come, and ``stream`` knows what it uses."""
        self._streams[number] = stream

    def used(self, frames: list[tuple[int, bytes | None]]) -> dict[int, Usage]:
        """What the requests of these frames have used, if all they have put out is in them."""
        used: dict[int, Usage] = {}
        for number, data in frames:
            stream = self._streams.get(number)
            if stream is not None and number not in self._waiting:
                used[number] = stream.usage
            if data is None:
                self._streams.pop(number, None)
        return used

    def send(self, number: int, event: bytes) -> None:
        """Queue output of a request."""
        self._waiting.setdefault(number, []).append(event)
        self._bytes += len(event)
        self._filled.set()

    def end(self, number: int) -> None:
        """The request's output is complete."""
        self._waiting.setdefault(number, [])
        self._ended.add(number)
        self._filled.set()

    def drop(self, number: int) -> None:
        """Forget a request nobody waits for."""
        self._streams.pop(number, None)
        self._bytes -= sum(map(len, self._waiting.pop(number, ())))
        self._ended.discard(number)

    async def filled(self, timeout_s: float) -> bool:
        """Wait until there is output; False when ``timeout_s`` passed without any."""
        if self._waiting:
            return True
        self._filled.clear()
        try:
            async with asyncio.timeout(timeout_s):
                await self._filled.wait()
        except TimeoutError:
            return False
        return True

    def take(self) -> list[tuple[int, bytes | None]]:
        """Everything queued, one frame a request, as far as one message holds."""
        if self._bytes > MAX_MESSAGE_BYTES:
            return self._take_some()
        frames: list[tuple[int, bytes | None]] = [
            (number, b"".join(events)) for number, events in self._waiting.items() if events
        ]
        frames += [(number, None) for number in self._ended]
        self._waiting.clear()
        self._ended.clear()
        self._bytes = 0
        return frames

    def _take_some(self) -> list[tuple[int, bytes | None]]:
        frames: list[tuple[int, bytes | None]] = []
        taken = 0
        for number in list(self._waiting):
            if taken >= MAX_MESSAGE_BYTES:
                break
            events = self._waiting[number]
            while events and taken < MAX_MESSAGE_BYTES:
                event = events.pop(0)
                frames.append((number, event))
                taken += len(event)
            if not events:
                del self._waiting[number]
                if number in self._ended:
                    self._ended.discard(number)
                    frames.append((number, None))
        self._bytes -= taken
        return frames


async def messages(
    channel: Channel,
    current: Callable[[], bool],
    news: Callable[[], News | None],
    gap_s: float,
    beat_s: float,
) -> AsyncIterator[BusMessage]:
    """The channel's messages, until another listener has taken its place.

    Args:
        current: whether this listener is the channel's latest.
        news: the replica's state if it is due, else None.
        gap_s: least time between two messages; the first after a pause leaves at once.
        beat_s: a message leaves at least this often, with or without output.
    """
    yield BusMessage([], news())
    while True:
        await channel.filled(beat_s)
        if not current():
            return
        frames = channel.take()
        yield BusMessage(frames, news(), channel.used(frames))
        await asyncio.sleep(gap_s)


class NewsDesk:
    """Gives out the replica's news when it changed, at most once an interval."""

    def __init__(self, news: Callable[[], News], interval_s: float) -> None:
        self._news = news
        self._interval_s = interval_s
        self._told_at = float("-inf")

    def due(self) -> News | None:
        now = time.monotonic()
        if now - self._told_at < self._interval_s:
            return None
        self._told_at = now
        return self._news()
