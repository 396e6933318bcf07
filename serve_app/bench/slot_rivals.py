"""What turns by pausing are measured against: draining above the engine, and preempting in it."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from serve_app.engine.vllm_scheduler import TurnScheduler

PREEMPTING = f"{__name__}.PreemptingScheduler"
"""The name by which vLLM is told of it."""


class PreemptingScheduler(TurnScheduler):
    """Whoever's turn is over loses its KV blocks, and computes them again at its next turn."""

    def _pause(self) -> list[object]:
        for request in reversed(super()._pause()):
            self.running.remove(request)
            self._preempt_request(request, time.monotonic())
        return []


class OpenGate:
    """Lets everybody through: slots are vLLM's own business."""

    @asynccontextmanager
    async def turn(self, _adapter: str) -> AsyncIterator[None]:
        yield


class DrainingGate:
    """Holds requests above an engine: an adapter that has had its turn gets no new ones admitted
    while others wait, and gives its slot up when its running ones have ended."""

    def __init__(self, slots: int, turn_s: float) -> None:
        self._slots = slots
        self._turn_s = turn_s
        self._changed = asyncio.Condition()
        self._running: Counter[str] = Counter()
        self._since: dict[str, float] = {}
        self._waiting: list[str] = []

    @asynccontextmanager
    async def turn(self, adapter: str) -> AsyncIterator[None]:
        """While a request of ``adapter`` runs."""
        async with self._changed:
            self._waiting.append(adapter)
            try:
                await self._changed.wait_for(lambda: self._may_enter(adapter))
            finally:
                self._waiting.remove(adapter)
            if not self._running[adapter]:
                self._since[adapter] = time.monotonic()
            self._running[adapter] += 1
        try:
            yield
        finally:
            async with self._changed:
                self._running[adapter] -= 1
                self._changed.notify_all()

    def _may_enter(self, adapter: str) -> bool:
        others = [one for one in self._waiting if not self._running[one]]
        if self._running[adapter]:
            return not others or time.monotonic() - self._since[adapter] < self._turn_s
        return len(+self._running) < self._slots and adapter == others[0]
