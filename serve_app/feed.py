"""How control's word reaches gateways and replicas: one whole update, then changes as they come.

Followers go on with what they know while control is away, and start over when it is back. Knows
nothing of Ray: it is given the stream to follow.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.adapters.catalog import Entry
from serve_app.tenancy.tenant import Tenant

LOGGER = logging.getLogger("ray.serve")


@dataclass(frozen=True, slots=True)
class Tenants:
    """Everybody who may ask.

    Attributes:
        tenants: by id.
        holders: tenant ids by the fingerprint of a key of theirs.
    """

    tenants: Mapping[str, Tenant]
    holders: Mapping[bytes, str]


@dataclass(frozen=True, slots=True)
class Update:
    """What changed since the update before.

    Attributes:
        revision: counts the changes of the catalog and of tenants; goes up only.
        whole: everything there is, in place of all that was known.
        entries: by adapter name; None for one that may not be named any more.
        tenants: all of them, None if nothing about them changed (or they are not for this
            follower).
    """

    revision: int
    whole: bool = False
    entries: Mapping[str, Entry | None] = field(default_factory=dict)
    tenants: Tenants | None = None


class Stream(Protocol):
    """A stream of updates that can be given up."""

    def __aiter__(self) -> AsyncIterator[Update]: ...
    def cancel(self) -> None: ...


class Follower:
    """Follows control until it is closed. Used from one event loop.

    Args:
        subscribe: opens a stream, which begins with a whole update.
        heard: takes every update in.
        retry_s: pause before a broken stream is opened again.
    """

    def __init__(
        self,
        subscribe: Callable[[], Stream],
        heard: Callable[[Update], None],
        retry_s: float = 0.2,
    ) -> None:
        self._subscribe = subscribe
        self._heard = heard
        self._retry_s = retry_s
        self._changed = asyncio.Event()
        self.revision = -1
        self._following = asyncio.get_running_loop().create_task(self._follow())

    async def reached(self, revision: int, within_s: float) -> bool:
        """Wait until ``revision`` has been taken in; False if that takes longer."""
        try:
            async with asyncio.timeout(within_s):
                while self.revision < revision:
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def close(self) -> None:
        self._following.cancel()
        await asyncio.wait([self._following])

    async def _follow(self) -> None:
        while True:
            try:
                await self._read(self._subscribe())
            except Exception as error:
                LOGGER.info("control is away: %s", error)
            await asyncio.sleep(self._retry_s)

    async def _read(self, stream: Stream) -> None:
        try:
            async for update in stream:
                self._heard(update)
                self.revision = update.revision
                self._changed.set()
                self._changed = asyncio.Event()
        finally:
            stream.cancel()
