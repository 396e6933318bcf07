"""Bringing one version to the engine and taking it away again, one at a time.

Files are fetched side by side, up to a few; what touches the engine follows one another.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.interface import Engine
from serve_app.engine.stay import Phase, Stay
from serve_app.errors import AdapterRefused

LOGGER = logging.getLogger("ray.serve")

Stage = Callable[[Version], Awaitable[Path]]
"""Has a version's files on this node, in the directory it gives."""

_READ_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Staged:
    """Files ready to be loaded, and the seconds it took to fetch and to read them."""

    directory: Path
    stage_s: float
    read_s: float


class Loading:
    """Loads and unloads of one engine.

    Args:
        stagings: versions whose files are fetched at once.
        clock: monotonic seconds.

    Attributes:
        listed: adapters the engine itself listed, when it was last asked.
    """

    def __init__(
        self, engine: Engine, stage: Stage, stagings: int, clock: Callable[[], float]
    ) -> None:
        self._engine = engine
        self._stage = stage
        self._clock = clock
        self.listed = 0
        self._engine_ids = count(1)
        self._turn = asyncio.Lock()
        self._stagings = asyncio.Semaphore(stagings)

    async def stage(self, version: Version) -> Staged:
        """Have a version's files on this node and in its page cache.

        Raises:
            AdapterRefused: they are gone, or are not what was registered.
        """
        async with self._stagings:
            began = self._clock()
            directory = await self._stage(version)
            fetched = self._clock()
            await _read_through(directory / WEIGHTS_FILE)
            return Staged(directory, fetched - began, self._clock() - fetched)

    async def load(self, stay: Stay, directory: Path) -> float:
        """Let the engine take it, under an id of its own; gives the seconds the engine took.

        Raises:
            AdapterRefused: it would not take it; nothing stays behind.
            EngineDead: there is no engine left.
        """
        async with self._turn:
            began = self._clock()
            stay.enter(Phase.LOADING, began)
            stay.engine_id = next(self._engine_ids)
            await self._engine.load_adapter(stay.version, directory, stay.engine_id)
            return self._clock() - began

    async def unload(self, stay: Stay) -> None:
        """Have the engine free it.

        Raises:
            EngineDead: it does not, or there is no engine left.
        """
        assert stay.engine_id is not None
        async with self._turn:
            await self._engine.unload_adapter(stay.engine_id)

    async def reconcile(self, stays: Iterable[Stay]) -> None:
        """Have the engine free what is none of the stays'. While a load is under way there is
        nothing to compare."""
        if self._turn.locked():
            return
        async with self._turn:
            known = {stay.engine_id for stay in stays}
            listed = await self._engine.held()
            self.listed = len(listed)
            for engine_id in listed - known:
                LOGGER.warning("the engine holds adapter %d, which nobody knows", engine_id)
                await self._engine.unload_adapter(engine_id)


async def _read_through(path: Path) -> None:
    """Bring a file into the page cache, so that the engine's own read does not wait for a disk."""
    try:
        with path.open("rb", buffering=0) as file:
            while await asyncio.to_thread(file.read, _READ_BYTES):
                pass
    except OSError:
        raise AdapterRefused(
            f"adapter files {path.parent.name!r} are gone or cannot be read",
            code="adapter_file_missing",
        ) from None
