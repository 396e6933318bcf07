"""Lets a candidate load and answer on one replica before it goes live."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from serve_app.adapters.version import Version
from serve_app.errors import AdapterRefused
from serve_app.routing.messages import Probe, Reply

CODE = "adapter_canary_failed"
AWAY = 503

Send = Callable[[Probe], Awaitable[Reply]]
"""Hands a probe to the replica that is best for it."""


class Canary:
    """Asks through ``send``. A replica that is lost on the way, or too busy, is no fault of the
    adapter's, unless that happens every time.

    Args:
        attempts: how often a replica is asked before the candidate is refused. An adapter that
            ends engines ends so many.
        pause_s: between two attempts.
    """

    def __init__(self, send: Send, attempts: int = 2, pause_s: float = 2.0) -> None:
        self._send = send
        self._attempts = attempts
        self._pause_s = pause_s

    async def probe(self, version: Version) -> None:
        """Return if it answered.

        Raises:
            AdapterRefused: it did not.
        """
        reply = await self._send(Probe(version))
        for _ in range(self._attempts - 1):
            if reply.status != AWAY:
                break
            await asyncio.sleep(self._pause_s)
            reply = await self._send(Probe(version))
        if reply.status != 200:
            raise AdapterRefused(
                f"adapter {version.adapter!r} did not answer on a replica: {_reason(reply)}",
                code=CODE,
            )


def _reason(reply: Reply) -> str:
    try:
        return str(json.loads(reply.body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"status {reply.status}"
