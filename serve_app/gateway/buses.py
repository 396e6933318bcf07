"""The gateway's end of the token bus: one long call to every replica, feeding all mailboxes."""

import asyncio
import logging
from collections.abc import Callable
from contextvars import Context
from itertools import count

from ray.serve.handle import DeploymentHandle

from serve_app.adapters.version import Version
from serve_app.gateway.mailbox import BusLost, Mailbox
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import BusMessage, Call, Fetch, Subscription
from serve_app.routing.policy import TUNED, Tuning

LOGGER = logging.getLogger("ray.serve")
_RETRY_S = 0.2


class Buses:
    """Follows the fleet: a bus is opened when a replica appears and closed when it has gone.

    Args:
        replicas: handle of the engine deployment.
        gateway: this gateway's id.
        tuning: the routing policy's constants.
        copied: told whenever a copy of an adapter is asked for.
    """

    def __init__(
        self,
        replicas: DeploymentHandle,
        gateway: str,
        tuning: Tuning = TUNED,
        copied: Callable[[], None] = lambda: None,
    ) -> None:
        self._replicas = replicas
        self._gateway = gateway
        self._loop = asyncio.get_running_loop()
        self._copied = copied
        self._running: frozenset[str] = frozenset()
        self._buses: dict[str, asyncio.Task[None]] = {}
        self._numbers = count(1)
        self._mailboxes: dict[int, tuple[Call, Mailbox]] = {}
        self.fleet = Fleet(gateway, self._fleet_changed, self._copy, tuning=tuning)
        self._fetching: set[asyncio.Task[None]] = set()
        self._meeting = self._loop.create_task(self._meet())

    def open(self, call: Call, max_bytes: int) -> Mailbox:
        """A mailbox for the call's output under a new number, until it is closed."""
        call.number, call.choice, call.over = next(self._numbers), None, False
        mailbox = Mailbox(max_bytes)
        self._mailboxes[call.number] = (call, mailbox)
        return mailbox

    def fetch(self, version: Version, replica: str) -> None:
        """Have ``replica`` load ``version`` in the background."""
        fetching = self._loop.create_task(
            self._fetched(Fetch(version, replica, self.fleet)), context=Context()
        )
        self._fetching.add(fetching)
        fetching.add_done_callback(self._fetching.discard)

    def close(self, call: Call) -> None:
        self._mailboxes.pop(call.number, None)

    async def hang_up(self) -> None:
        """Close every bus, so that no replica waits for this gateway before it stops."""
        tasks = [self._meeting, *self._buses.values(), *self._fetching]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _meet(self) -> None:
        """Introduce our fleet view to Ray's router, which then tells it of every change."""
        subscription = Subscription(self._gateway, None, self.fleet)
        while True:
            try:
                await self._calling("hello").hello.remote(subscription)
                return
            except Exception as error:
                LOGGER.info("waiting for replicas: %s", error)
                await asyncio.sleep(_RETRY_S)

    def _fleet_changed(self, replicas: frozenset[str]) -> None:
        """From any thread, and from inside any request's context, which must not leak into ours:
        Serve would end the bus together with that request."""
        self._loop.call_soon_threadsafe(self._follow, replicas, context=Context())

    def _copy(self, version: Version, replica: str) -> None:
        """From any thread, as above."""
        self._copied()
        self._loop.call_soon_threadsafe(self.fetch, version, replica, context=Context())

    async def _fetched(self, fetch: Fetch) -> None:
        """If it fails, the next request for the adapter loads it, or finds out why not."""
        try:
            await self._calling(f"fetch:{fetch.replica}").fetch.remote(fetch)
        except Exception as error:
            LOGGER.info("%s was not fetched by %s: %s", fetch.version.name, fetch.replica, error)

    def _follow(self, replicas: frozenset[str]) -> None:
        self._running = replicas
        for replica in replicas - self._buses.keys():
            self._buses[replica] = self._loop.create_task(self._listen(replica))
        for replica in self._buses.keys() - replicas:
            if not self._awaited_from(replica):
                self._buses.pop(replica).cancel()

    async def _listen(self, replica: str) -> None:
        """Hear one replica out: until it is gone and nothing of ours is left on it."""
        subscription = Subscription(self._gateway, replica)
        try:
            while replica in self._running:
                try:
                    await self._read(replica, subscription)
                except Exception as error:
                    LOGGER.warning("bus to replica %s broke: %s", replica, error)
                self._lost(replica)
                await asyncio.sleep(_RETRY_S)
        finally:
            if self._buses.get(replica) is asyncio.current_task():
                del self._buses[replica]

    async def _read(self, replica: str, subscription: Subscription) -> None:
        stream = self._calling(f"bus:{replica}").options(stream=True).bus.remote(subscription)
        try:
            async for message in stream:
                self._deliver(replica, message)
                if replica not in self._running and not self._awaited_from(replica):
                    return
        finally:
            stream.cancel()

    def _deliver(self, replica: str, message: BusMessage) -> None:
        if message.news is not None:
            self.fleet.heard(replica, message.news)
        for number, data in message.frames:
            entry = self._mailboxes.get(number)
            if entry is not None:
                entry[1].put(data)
        for number, usage in message.used.items():
            entry = self._mailboxes.get(number)
            if entry is not None:
                entry[1].uses(usage)

    def _lost(self, replica: str) -> None:
        self.fleet.doubt(replica)
        for mailbox in self._awaited_from(replica):
            mailbox.fail(BusLost())

    def _awaited_from(self, replica: str) -> list[Mailbox]:
        return [
            mailbox
            for call, mailbox in self._mailboxes.values()
            if call.choice is not None and call.choice.replica == replica
        ]

    def _calling(self, key: str) -> DeploymentHandle:
        return self._replicas.options(multiplexed_model_id=key)
