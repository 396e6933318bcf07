"""The engine deployment: one process, one engine, one GPU.

It answers calls, keeps the adapters they need resident, and tells gateways how it does.
"""

import asyncio
import logging
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable
from importlib import import_module
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.adapters.version import Version
from serve_app.engine.bus import Channel, NewsDesk, messages
from serve_app.engine.canary import judge, question
from serve_app.engine.interface import Engine, EngineDead, Stream, Whole
from serve_app.engine.lifecycle import Lifecycle
from serve_app.engine.measures import Measures, Running
from serve_app.engine.refusals import error_event, error_in, is_error_event, refused
from serve_app.engine.stay import Phase
from serve_app.errors import ApiError, ReplicaLost
from serve_app.routing.messages import (
    GENERATING,
    BusMessage,
    Call,
    Fetch,
    News,
    Probe,
    Reply,
    Subscription,
)
from serve_app.routing.scaling import stats
from serve_app.settings import AppSettings, EngineSettings
from serve_app.telemetry.metrics import ReplicaMetrics

LOGGER = logging.getLogger("ray.serve")


class Replica:
    """One engine behind the methods gateways call.

    Args:
        engine: import path ``module:Class`` of the engine, which is given its settings.
        control: handle of the control deployment, which may be away.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: AppSettings, engine: str, control: DeploymentHandle
    ) -> None:
        self._settings = settings.engine
        self._metrics = ReplicaMetrics()
        self._measures = Measures(self._metrics, settings.engine.slot_turn_s, time.monotonic)
        self._channels: defaultdict[str, Channel] = defaultdict(Channel)
        self._in_flight: Counter[str] = Counter()
        self._calls: defaultdict[str, set[asyncio.Task[Any]]] = defaultdict(set)
        self._listeners: dict[str, object] = {}
        self._engine = _make(engine, settings.engine)
        await self._engine.start()
        self._adapters = Lifecycle(
            self._engine, settings.registry, control, self._id(), self._measures
        )
        self._residency = self._adapters.residency

    async def generate(self, call: Call) -> Reply:
        """Answer one call; what is streamed leaves over the caller's bus."""
        task = asyncio.current_task()
        assert task is not None
        self._in_flight[call.gateway] += 1
        self._calls[call.gateway].add(task)
        try:
            return await _reply(call.request_id, self._answer(call))
        finally:
            self._calls[call.gateway].discard(task)
            self._in_flight[call.gateway] -= 1

    async def probe(self, probe: Probe) -> Reply:
        """Load a candidate and let it answer; it stays resident if it answers well."""
        call = question(probe.version)
        return await _reply(call.request_id, self._probe(call, probe.version))

    async def fetch(self, fetch: Fetch) -> None:
        """Load an adapter before its requests come, if no busy one has to make room for it."""
        if fetch.replica != self._id() or not self._residency.roomy:
            return
        try:
            async with self._residency.lease(fetch.version):
                pass
        except (ApiError, EngineDead) as error:
            LOGGER.info("adapter %s was not fetched: %s", fetch.version.name, error)

    async def _answer(self, call: Call) -> Reply:
        streams = bool(call.body.get("stream"))
        with self._measures.follow(call.prompt_tokens) as running:
            async with self._residency.lease(call.version) as cold_load_s:
                self._measures.entered(running, streams=streams)
                answer = await self._engine.answer(call)
                if not isinstance(answer, Whole):
                    return await self._stream(call, answer, cold_load_s, running)
                if answer.status == 200 and call.operation in GENERATING:
                    self._measures.ended(running, streams=streams)
                return Reply(answer.status, answer.body, answer.usage, cold_load_s)

    async def _probe(self, call: Call, version: Version) -> Reply:
        async with self._residency.lease(version) as cold_load_s:
            try:
                answer = await self._engine.answer(call)
                assert isinstance(answer, Whole), "a probe does not ask for a stream"
                judge(version.adapter, answer.body)
            except ApiError:
                self._residency.retire(version.name)
                raise
            return Reply(answer.status, answer.body, answer.usage, cold_load_s)

    async def _stream(
        self, call: Call, answer: Stream, cold_load_s: float | None, running: Running
    ) -> Reply:
        """Send events as they come. An error before the first of them is a plain refusal."""
        channel = self._channels[call.gateway]
        events = answer.events
        channel.begin(call.number, answer)
        sent, cut = False, None
        try:
            async for event in events:
                if is_error_event(event):
                    error = self._error_in(event)
                    if not sent:
                        channel.drop(call.number)
                        return refused(error)
                    event, cut = error_event(error), error.code  # noqa: PLW2901 - ours in its place
                channel.send(call.number, event)
                if not sent:
                    self._measures.began(running)
                    sent = True
        except BaseException:
            channel.drop(call.number)
            raise
        finally:
            await events.aclose()
        channel.end(call.number)
        self._measures.ended(running, streams=True)
        return Reply(200, usage=answer.usage, cold_load_s=cold_load_s, cut=cut)

    def _error_in(self, event: bytes) -> ApiError:
        """The engine's own error, unless what is wrong is that it is dead."""
        if self._engine.load().alive:
            return error_in(event)
        return ReplicaLost("The engine stopped; try again.", retry_after_s=1)

    async def bus(self, subscription: Subscription) -> AsyncIterator[BusMessage]:
        """All output for one gateway, and news of this replica, until the gateway hangs up.

        What the gateway still had in flight then is aborted: nobody is left to read it.
        """
        gateway = subscription.gateway
        channel = self._channels[gateway]
        self._listeners[gateway] = stream_id = object()
        news = NewsDesk(self._news, self._settings.news_interval_s)
        stream = messages(
            channel,
            lambda: self._listeners.get(gateway) is stream_id,
            news.due,
            self._settings.bus_gap_s,
            self._settings.news_interval_s,
        )
        try:
            async for message in stream:
                self._metrics.sent(len(message.frames))
                yield message
        finally:
            if self._listeners.get(gateway) is stream_id:
                self._hang_up(gateway)

    def _hang_up(self, gateway: str) -> None:
        del self._listeners[gateway]
        self._channels.pop(gateway, None)
        for task in tuple(self._calls.pop(gateway, ())):
            task.cancel()

    async def hello(self, _subscription: Subscription) -> None:
        """Answers a gateway that wants to meet the fleet."""

    async def record_autoscaling_stats(self) -> dict[str, float]:
        """What the autoscaling policy learns of this replica. Serve asks."""
        return stats(self._news())

    async def check_health(self) -> None:
        """Raise when the engine is dead, hangs or keeps what it should free: Serve replaces it."""
        await self._engine.check()
        await self._residency.check()
        self._metrics.holds(
            resident=sum(stay.phase is Phase.RESIDENT for stay in self._residency.stays()),
            active=sum(stay.active for stay in self._residency.stays()),
            pinned=self._residency.pinned,
            waiting=self._residency.waiting,
        )

    def _news(self) -> News:
        load, stays = self._engine.load(), self._residency.stays()
        joinable = [stay for stay in stays if stay.joinable]
        return News(
            holds=frozenset(stay.name for stay in joinable),
            in_flight={gateway: n for gateway, n in self._in_flight.items() if n},
            capacity=self._engine.max_num_seqs,
            waiting=load.waiting,
            kv_usage=load.kv_usage,
            alive=load.alive and self._residency.sound,
            loading=frozenset(stay.name for stay in joinable if stay.phase < Phase.RESIDENT),
            active=frozenset(stay.name for stay in joinable if stay.active),
            load_s=self._residency.load_s,
            engine_lists=self._residency.listed,
            max_loras=self._engine.max_loras,
            waiting_tokens=self._measures.waiting_tokens(),
            requests={stay.name: stay.leases for stay in stays if stay.leases},
            costs=self._measures.costs(),
        )

    @staticmethod
    def _id() -> str:
        replica_id: str = serve.get_replica_context().replica_id.unique_id
        return replica_id

    def __del__(self) -> None:
        engine = getattr(self, "_engine", None)
        if engine is not None:
            engine.stop()


async def _reply(request_id: str, answering: Awaitable[Reply]) -> Reply:
    """The answer, or why there is none."""
    try:
        return await answering
    except EngineDead:
        return refused(ReplicaLost("The engine stopped; try again.", retry_after_s=1))
    except ApiError as error:
        return refused(error)
    except Exception:
        LOGGER.exception("request %s failed", request_id)
        return refused(ApiError("The replica failed on this request."))


def _make(import_path: str, settings: EngineSettings) -> Engine:
    module, name = import_path.split(":")
    engine: Engine = getattr(import_module(module), name)(settings)
    return engine


ReplicaDeployment = serve.deployment(name="engine")(Replica)
