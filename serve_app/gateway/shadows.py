"""Copies of requests for shadow arms: sent when the fleet has room to spare, recorded, returned to
nobody."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextvars import Context
from dataclasses import replace
from functools import partial
from typing import Any

import orjson

from serve_app.errors import ApiError
from serve_app.experiments.assignment import Assigned
from serve_app.gateway import govern
from serve_app.gateway.asked import Asked
from serve_app.gateway.exchange import Exchange
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, Reply
from serve_app.routing.seats import to_spare
from serve_app.settings import GatewaySettings
from serve_app.telemetry.access_log import CLIENT_GONE, Access
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.snapshot import Target

LOGGER = logging.getLogger("ray.serve")
MOST = 32
"""Copies under way at once; there is no room to spare for more."""
MAX_CHARS = 16_384
"""Of an answer that is kept: those to the owner's own requests are, and no other tenant's."""
STREAMING = ("stream", "stream_options")


class Shadows:
    """Used from one event loop.

    Args:
        exchange: carries a call.
        note: takes down what is over.
    """

    def __init__(
        self,
        fleet: Fleet,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        exchange: Callable[[Call], Exchange],
        note: Callable[[Access], None],
    ) -> None:
        self._fleet = fleet
        self._settings = settings
        self._metrics = metrics
        self._exchange = exchange
        self._note = note
        self._under_way: set[asyncio.Task[None]] = set()

    def copy(
        self, asked: Asked, call: Call, body: govern.Body, to: Assigned, model: Target
    ) -> None:
        """Send a copy of a request on its way to a shadow arm, if there is room to spare. It is
        not of the request's context: Serve would end it when the client leaves.

        Args:
            call: the request's own.
            body: as it came.
            model: what the arm answers with.
        """
        version = model.version
        spare = self._fleet.is_(partial(to_spare, version.name if version else None))
        if not spare or len(self._under_way) >= MOST:
            self._metrics.shadowed(to.experiment.name, "no_room")
            return
        task = asyncio.get_running_loop().create_task(
            self._ask(asked, call, body, to, model), context=Context()
        )
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def close(self) -> None:
        """Let go of what is under way."""
        for task in list(self._under_way):
            task.cancel()
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _ask(
        self, asked: Asked, call: Call, body: govern.Body, to: Assigned, model: Target
    ) -> None:
        """Have the arm answer, once the request itself is on its way."""
        try:
            governed = govern.govern(
                {name: value for name, value in body.items() if name not in STREAMING},
                self._settings,
                adapter=model.version is not None,
                cache_salt=call.body.get("cache_salt"),
            )
        except ApiError as error:
            LOGGER.info("a shadow of %s cannot be asked this: %s", to.label, error)
            return
        await self._answer(asked, _copy_of(call, governed, model, to), to)

    async def _answer(self, asked: Asked, call: Call, to: Assigned) -> None:
        access = Access(
            call.request_id,
            asked.access.path,
            status=CLIENT_GONE,
            tenant=asked.access.tenant,
            key=asked.access.key,
            operation=call.operation.value,
            adapter=call.version.name if call.version else None,
            version=call.version.number if call.version else None,
            assigned=to,
        )
        began = time.monotonic()
        exchange = self._exchange(call)
        exchange.open()
        try:
            reply = await exchange.whole()
            access.status = reply.status
            if access.tenant == to.experiment.owner:
                access.answer = text_of(reply)[:MAX_CHARS]
        except ApiError as error:
            access.status, access.error = error.status, error.code
        finally:
            exchange.close()
            access.used(exchange.usage)
            access.duration_s = time.monotonic() - began
            self._note(access)
            self._metrics.shadowed(to.experiment.name, access.outcome)


def text_of(reply: Reply) -> str:
    """What the first choice of an answer says; empty if it is none."""
    if reply.status != 200:
        return ""
    body = orjson.loads(reply.body)
    for choice in body.get("choices", ()):
        return str(choice.get("text") or choice.get("message", {}).get("content") or "")
    parts = (part for item in body.get("output", ()) for part in item.get("content") or ())
    return "".join(part.get("text") or "" for part in parts)


def _copy_of(call: Call, body: dict[str, Any], model: Target, to: Assigned) -> Call:
    return replace(
        call,
        request_id=f"{call.request_id}.{to.arm.name}",
        body=body,
        version=model.version,
        choice=None,
        over=False,
    )
