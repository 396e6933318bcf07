"""One call to a replica and its answer, from the gateway's side.

Before anything reached the client a lost replica costs one transparent retry elsewhere; after
that it costs the answer's rest.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

import orjson
from ray.serve.exceptions import BackPressureError
from ray.serve.handle import DeploymentHandle

from serve_app.errors import ClientTooSlow, DeadlineExceeded, Overloaded, Refused, ReplicaLost
from serve_app.gateway.buses import Buses
from serve_app.gateway.mailbox import BusLost, TooSlow
from serve_app.routing.messages import Call, Reply, Usage

LOGGER = logging.getLogger("ray.serve")
ATTEMPTS = 2
_LAST_FRAMES_S = 5.0


class Exchange:
    """Open it, take what comes, and close it: that cancels whatever still runs.

    Args:
        handle: gives a handle of the engine deployment for a routing key.
        deadline: event loop time, in seconds, at which the answer must be complete.
        max_bytes: cap on output the client has not read.

    Attributes:
        call: the present attempt's.
        reply: how the call ended, once it has.
    """

    def __init__(
        self,
        call: Call,
        buses: Buses,
        handle: Callable[[str], DeploymentHandle],
        deadline: float,
        max_bytes: int,
    ) -> None:
        self.call = call
        self.reply: Reply | None = None
        self._buses = buses
        self._handle = handle
        self._deadline = deadline
        self._max_bytes = max_bytes
        self._attempts_left = ATTEMPTS
        self._started = False
        self._complete_by = float("inf")

    @property
    def usage(self) -> Usage:
        """What the call has used: as it ended, else what came of it before it was cut."""
        return self._mailbox.used if self.reply is None else self.reply.usage

    def open(self) -> None:
        """Send the call on its way."""
        self._send()

    def close(self) -> None:
        """End the call, wherever it is, and give back what it held. Safe to call again."""
        self._buses.close(self.call)
        served = self.reply is not None and self.reply.status == 200
        self._buses.fleet.release(self.call, served=served)
        if not self._replying.done():
            self._replying.cancel()
            self._cancel()

    def _cancel(self) -> None:
        """Have the replica stop. Ray raises what a call has failed of meanwhile."""
        try:
            self._response.cancel()
        except Exception as error:
            LOGGER.info("call %s could not be cancelled: %r", self.call.request_id, error)

    async def whole(self) -> Reply:
        """The reply of a call that is not streamed.

        Raises:
            ApiError: there is none.
        """
        await self.next(float("inf"))
        assert self.reply is not None
        return self.reply

    async def next(self, timeout_s: float) -> bytes | None:
        """New output, empty after ``timeout_s`` without any, None once the call is over.

        When a call is over without ever having had output, ``reply`` is the whole answer.

        Raises:
            ApiError: the call failed, or the rest of its answer is lost.
        """
        loop = asyncio.get_running_loop()
        until = min(loop.time() + timeout_s, self._deadline)
        while True:
            try:
                data = self._arrived()
            except ReplicaLost as error:
                self._retry_after(error)
                continue
            if data != b"":
                self._started = self._started or data is not None
                return data
            try:
                async with asyncio.timeout_at(min(until, self._complete_by)):
                    await self._mailbox.arrived()
            except TimeoutError:
                if loop.time() >= self._complete_by:
                    raise ReplicaLost("The rest of the answer was lost.") from None
                if loop.time() >= self._deadline:
                    raise DeadlineExceeded("The request took longer than it may.") from None
                return b""

    def _arrived(self) -> bytes | None:
        """What is there without waiting; empty if nothing is, None if the call is over."""
        data = self._take()
        if data or not self._replying.done():
            return data or b""
        try:
            reply = self._replied()
        except ReplicaLost:
            if data is None:
                return None  # the output is complete, only its usage is lost
            raise
        if data == b"" and reply.streamed:
            return self._await_last_frames()
        if reply.retryable and not self._started:
            raise ReplicaLost("The replica was lost; try again.", retry_after_s=1)
        if reply.status != 200 and self._started:
            raise Refused(reply.status, orjson.loads(reply.body)["error"])
        self.reply = reply
        return None

    def _take(self) -> bytes | None:
        try:
            return self._mailbox.take()
        except BusLost:
            raise ReplicaLost("The replica was lost; try again.", retry_after_s=1) from None
        except TooSlow:
            raise ClientTooSlow("The answer was not read as fast as it came.") from None

    def _await_last_frames(self) -> bytes:
        """The reply overtook the end of the output on the bus, which must follow soon."""
        if self._complete_by == float("inf"):
            self._complete_by = asyncio.get_running_loop().time() + _LAST_FRAMES_S
        return b""

    def _replied(self) -> Reply:
        """The call's reply, or the error it ended with as one of ours."""
        try:
            return self._replying.result()
        except BackPressureError:
            raise Overloaded("Every replica is busy; try again.", retry_after_s=1) from None
        except (Exception, asyncio.CancelledError) as error:
            LOGGER.warning("call %s lost its replica: %r", self.call.request_id, error)
            raise ReplicaLost("The replica was lost; try again.", retry_after_s=1) from None

    def _retry_after(self, error: ReplicaLost) -> None:
        """Send the call again if nothing has reached the client, else give up."""
        if self.call.choice is not None:
            self._buses.fleet.doubt(self.call.choice.replica)
        self._attempts_left -= 1
        if self._started or not self._attempts_left:
            raise error
        self.close()
        self.call = replace(self.call)  # a late word of Ray's router is about the one before
        self._send()

    def _send(self) -> None:
        self._complete_by = float("inf")
        self._mailbox = self._buses.open(self.call, self._max_bytes)
        version = self.call.version
        try:
            handle = self._handle(version.name if version else "")
            self._response = handle.generate.remote(self.call)
        except BaseException:
            self._buses.close(self.call)
            raise
        self._replying = asyncio.ensure_future(_result(self._response))
        self._replying.add_done_callback(lambda _: self._mailbox.poke())


async def _result(response: object) -> Reply:
    reply: Reply = await response  # type: ignore[misc]
    return reply
