"""Stages an adapter: fetched once, checked, and kept on this node, or nothing stays of it."""

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from copy import copy

from serve_app.adapters.artifacts import Artifacts
from serve_app.adapters.base import Base
from serve_app.adapters.preflight import Checked, check
from serve_app.adapters.sources import SourceRules, fetch
from serve_app.errors import StorageFailed

LOGGER = logging.getLogger("ray.serve")


class _Cancelled(Exception):
    """Raised in the thread between two chunks when nobody waits for it any more."""


class Stager:
    """Stages a few adapters at once, in threads. Used from one event loop.

    Args:
        max_rank: the largest rank an engine takes.
        at_once: how many are staged at a time; the others wait.
    """

    def __init__(
        self,
        artifacts: Artifacts,
        base: Base,
        rules: SourceRules,
        max_rank: int,
        at_once: int = 2,
    ) -> None:
        self._artifacts = artifacts
        self._base = base
        self._rules = rules
        self._max_rank = max_rank
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="staging")

    async def stage(
        self,
        adapter: str,
        source: str,
        progress: Callable[[int], None] = lambda _bytes: None,
    ) -> Checked:
        """Fetch, check and keep the adapter at ``source``.

        Args:
            progress: told, in this event loop, how many bytes have been fetched.

        Raises:
            AdapterRefused: it cannot be served, or may not be fetched; with a code per reason.
            SourceUnavailable: its source does not answer.
            StorageFailed: the disk would not take it.
        """
        loop, cancelled = asyncio.get_running_loop(), threading.Event()

        def fetched(count: int) -> None:
            if cancelled.is_set():
                raise _Cancelled
            loop.call_soon_threadsafe(progress, count)

        try:
            return await loop.run_in_executor(
                self._threads,
                self._stage,
                adapter,
                source,
                fetched,
                cancelled,
            )
        except asyncio.CancelledError:
            cancelled.set()
            raise

    def under(self, rules: SourceRules) -> "Stager":
        """The same stager, with the same threads, under other rules."""
        other = copy(self)
        other._rules = rules
        return other

    def close(self) -> None:
        """Start no more; what runs ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _stage(
        self,
        adapter: str,
        source: str,
        fetched: Callable[[int], None],
        cancelled: threading.Event,
    ) -> Checked:
        try:
            with self._artifacts.scratch() as scratch:
                fetch(source, scratch, self._rules, fetched, pause=cancelled.wait)
                checked = check(adapter, scratch, self._base, self._max_rank)
                fetched(checked.size_bytes)
                self._artifacts.keep(scratch, checked.digest)
        except OSError as error:
            LOGGER.error("adapter %s could not be stored: %s", adapter, error)
            raise StorageFailed("registry.data_dir cannot take the adapter's files") from error
        return checked
