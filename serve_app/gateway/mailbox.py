"""Where a streamed call's output waits for its client. Used from one event loop."""

import asyncio
from dataclasses import dataclass, field

from serve_app.routing.messages import NO_USAGE, Usage


class BusLost(Exception):
    """The bus that fed this mailbox broke."""


class TooSlow(Exception):
    """The client reads so slowly that its output no longer fits."""


@dataclass(slots=True)
class Mailbox:
    """Bytes that arrived and were not read yet, at most ``max_bytes``.

    Attributes:
        used: what the output that was taken has used.
    """

    max_bytes: int
    used: Usage = NO_USAGE
    _used_by_all: Usage = NO_USAGE
    _waiting: list[bytes] = field(default_factory=list)
    _bytes: int = 0
    _ended: bool = False
    _error: Exception | None = None
    _news: asyncio.Event = field(default_factory=asyncio.Event)

    def uses(self, usage: Usage) -> None:
        """All the output that was put here has used so much."""
        self._used_by_all = usage

    def put(self, data: bytes | None) -> None:
        """Add output; None ends it."""
        if self._error is not None:
            return
        if data is None:
            self._ended = True
        elif self._waiting and self._bytes + len(data) > self.max_bytes:
            self.fail(TooSlow())
        else:
            self._waiting.append(data)
            self._bytes += len(data)
        self._news.set()

    def fail(self, error: Exception) -> None:
        """Nothing more will come; an answer that is complete stays so."""
        if not self._ended:
            self._error = self._error or error
        self._news.set()

    def poke(self) -> None:
        """Wake the reader: the call itself has ended."""
        self._news.set()

    async def arrived(self) -> None:
        """Return as soon as ``take`` has something to say."""
        await self._news.wait()

    def take(self) -> bytes | None:
        """All that has arrived, empty if nothing has, None once the end was reached.

        Raises:
            BusLost, TooSlow: the output is incomplete.
        """
        self._news.clear()
        self.used = self._used_by_all
        if self._waiting:
            data = self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)
            self._waiting.clear()
            self._bytes = 0
            if self._ended or self._error:
                self._news.set()
            return data
        if self._error:
            raise self._error
        return None if self._ended else b""
