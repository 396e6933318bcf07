"""What is asked of control, and how its word reaches gateways and replicas: one whole update, then
changes as they come.

Followers go on with what they know while control is away, and start over when it is back. Knows
nothing of Ray: it is given the stream to follow.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from serve_app.adapters.catalog import Entry
from serve_app.adapters.commands import Command
from serve_app.experiments.commands import ExperimentCommand, GiveFeedback
from serve_app.experiments.experiment import Experiment
from serve_app.tenancy.commands import TenantCommand
from serve_app.tenancy.keys import Key
from serve_app.tenancy.tenant import Tenant
from serve_app.tenancy.usage import ShowUsage

LOGGER = logging.getLogger("ray.serve")

AnyCommand = Command | TenantCommand | ShowUsage | ExperimentCommand | GiveFeedback
"""What control may be asked for."""


@dataclass(frozen=True, slots=True)
class Update:
    """What changed since the update before. None takes away what has that name.

    Attributes:
        revision: counts the changes of the registry; goes up only.
        whole: everything there is, in place of all that was known.
        more: the rest of it follows at once; it is nothing without that.
        entries: by adapter name.
        tenants: by id; empty for followers that are not told of them.
        keys: by fingerprint; likewise.
        experiments: by name; likewise.
    """

    revision: int
    whole: bool = False
    more: bool = False
    entries: Mapping[str, Entry | None] = field(default_factory=dict)
    tenants: Mapping[str, Tenant | None] = field(default_factory=dict)
    keys: Mapping[bytes, Key | None] = field(default_factory=dict)
    experiments: Mapping[str, Experiment | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Whether it says more than that control is there."""
        return self.whole or bool(self.entries or self.tenants or self.keys or self.experiments)

    def then(self, rest: "Update") -> "Update":
        """This part of an update and the next as one."""
        return Update(
            rest.revision,
            self.whole,
            rest.more,
            {**self.entries, **rest.entries},
            {**self.tenants, **rest.tenants},
            {**self.keys, **rest.keys},
            {**self.experiments, **rest.experiments},
        )


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
        part: Update | None = None
        try:
            async for told in stream:
                update = told if part is None else part.then(told)
                part = update if told.more else None
                if part is not None:
                    continue
                self._heard(update)
                self.revision = update.revision
                self._changed.set()
                self._changed = asyncio.Event()
        finally:
            stream.cancel()
