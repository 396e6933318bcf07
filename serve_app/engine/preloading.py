"""Versions that are loaded before anybody asks, one after another, while there is room to spare."""

import asyncio
import logging
from collections.abc import Iterable

from serve_app.adapters.version import Version
from serve_app.engine.residency import Residency
from serve_app.errors import AdapterLoading

LOGGER = logging.getLogger("ray.serve")


class Preloading:
    """The versions still to be loaded. Nothing is evicted for them, and requests come first.

    Args:
        retry_s: pause after one could not be brought.
    """

    def __init__(self, residency: Residency, retry_s: float = 1.0) -> None:
        self._residency = residency
        self._retry_s = retry_s
        self._waiting: dict[str, Version] = {}
        self._changed = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    def want(self, versions: Iterable[Version]) -> None:
        self._waiting.update((version.name, version) for version in versions)
        self.look()

    def forget(self, names: Iterable[str]) -> None:
        for name in names:
            self._waiting.pop(name, None)

    def look(self) -> None:
        """There may be room now."""
        if self._waiting:
            self._changed.set()

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _run(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            while self._waiting and self._residency.spare:
                name, version = next(iter(self._waiting.items()))
                if await self._bring(version):
                    self._waiting.pop(name, None)
                else:
                    await asyncio.sleep(self._retry_s)

    async def _bring(self, version: Version) -> bool:
        """Whether it needs no more of us: it is here, or it was refused."""
        bringing = self._residency.preload(version)
        if bringing is None:
            return True
        await asyncio.wait([bringing])
        if bringing.cancelled():
            return False
        error = bringing.exception()
        if error is not None:
            LOGGER.warning("adapter %s could not be preloaded: %s", version.name, error)
        return not isinstance(error, AdapterLoading)
