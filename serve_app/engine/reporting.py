"""Tells control what this replica holds: soon after it changed, and every few seconds anyway."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from serve_app.adapters.report import Report

LOGGER = logging.getLogger("ray.serve")


class Reporting:
    """Sends reports until it is closed; control may be away.

    Args:
        report: the state as it is now.
        send: hands a report to control.
        gap_s: least seconds between two reports.
        beat_s: most seconds between two, and the time one may take.
    """

    def __init__(
        self,
        report: Callable[[], Report],
        send: Callable[[Report], Awaitable[None]],
        gap_s: float = 1.0,
        beat_s: float = 5.0,
    ) -> None:
        self._report = report
        self._send = send
        self._gap_s = gap_s
        self._beat_s = beat_s
        self._changed = asyncio.Event()
        self._running = asyncio.create_task(self._run())

    def changed(self) -> None:
        """Something is different from the last report."""
        self._changed.set()

    async def close(self) -> None:
        self._running.cancel()
        await asyncio.wait([self._running])

    async def _run(self) -> None:
        while True:
            await self._tell()
            await asyncio.sleep(self._gap_s)
            await self._until_due()

    async def _tell(self) -> None:
        self._changed.clear()
        try:
            async with asyncio.timeout(self._beat_s):
                await self._send(self._report())
        except Exception as error:
            LOGGER.info("control is away: %s", error)
            self._changed.set()

    async def _until_due(self) -> None:
        try:
            async with asyncio.timeout(self._beat_s - self._gap_s):
                await self._changed.wait()
        except TimeoutError:
            pass
