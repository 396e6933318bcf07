"""A request's way through the gateway, from a body to an answer."""

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from math import ceil
from typing import Any

from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import ApiError, ModelNotFound, Overloaded
from serve_app.gateway import govern
from serve_app.gateway.answers import StreamedAnswer, error_code, with_metadata
from serve_app.gateway.asked import Asked, headers_of
from serve_app.gateway.buses import Buses
from serve_app.gateway.exchange import Exchange
from serve_app.gateway.reading import read
from serve_app.gateway.registry import Registry
from serve_app.routing.messages import GENERATING, Call, News, Operation, Reply
from serve_app.routing.placements import Placements
from serve_app.routing.policy import Tuning
from serve_app.settings import GatewaySettings
from serve_app.telemetry.metrics import GatewayMetrics
from serve_app.tenancy.snapshot import Snapshot, Target
from serve_app.tenancy.tenant import Tenant

CACHED = GENERATING | {Operation.EMBEDDING}
_HANDLES = 4096


class Gateway:
    """Authenticates by the registry's snapshot, then governs, places and answers.

    Args:
        replicas: handle of the engine deployment.
        registry: what control has published.
        limits: what one request may ask for.
    """

    def __init__(
        self,
        replicas: DeploymentHandle,
        registry: Registry,
        limits: GatewaySettings,
        metrics: GatewayMetrics,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.registry = registry
        self.placements = Placements(time.time)
        self._limits = limits
        self._metrics = metrics
        tuning = Tuning(shed_above_s=limits.max_wait_s)
        self._buses = Buses(replicas, self.id, tuning, metrics.copied)
        self._handle: Callable[[str], DeploymentHandle] = lru_cache(_HANDLES)(
            lambda key: replicas.options(multiplexed_model_id=key or "base")
        )

    @property
    def ready(self) -> bool:
        """It knows its tenants, and at least one engine has told that it lives."""
        return self.registry.snapshot is not None and self._buses.fleet.answering() > 0

    async def close(self) -> None:
        """Let go of control and of the replicas."""
        await self.registry.close()
        await self._buses.hang_up()

    def fleet(self) -> dict[str, News]:
        """What each running replica told last, by its id."""
        return self._buses.fleet.told()

    @property
    def outstanding(self) -> int:
        """Calls that are placed and not over."""
        return self._buses.fleet.outstanding()

    def authenticate(self, request: Request) -> Tenant:
        """The caller.

        Raises:
            InvalidApiKey: it sent no key, or one nobody holds.
        """
        tenant = self.known.authenticate(request.headers.get("authorization"))
        request.state.access.tenant = tenant.id
        return tenant

    @property
    def known(self) -> Snapshot:
        """The snapshot in force.

        Raises:
            Overloaded: there is none yet.
        """
        if self.registry.snapshot is None:
            raise Overloaded("Starting; try again.", retry_after_s=2)
        return self.registry.snapshot

    async def resolve(self, tenant: Tenant, model: str | None) -> Target:
        """What answers ``model``; a name unknown here is looked up once more at control.

        Raises:
            ModelNotFound: unknown or not granted, which look the same.
            NoAdapterConfigured: nothing was named and there is nothing to fall back to.
        """
        try:
            return self.known.resolve(tenant, model)
        except ModelNotFound:
            if not await self.registry.caught_up():
                raise
        return self.known.resolve(tenant, model)

    async def answer(self, request: Request, tenant: Tenant, operation: Operation) -> Response:
        """Answer one inference request.

        Raises:
            ApiError: whatever keeps it from being answered.
        """
        asked = Asked(request, tenant)
        try:
            body = govern.parse(await read(request, partial(self._prefetch, asked)))
            return await self._answer(asked, operation, body)
        finally:
            if asked.prefetched_by is not None:
                self._metrics.prefetched(asked.prefetched_by == asked.placed_on)

    async def _answer(self, asked: Asked, operation: Operation, body: govern.Body) -> Response:
        tenant = asked.tenant
        target = await self.resolve(tenant, govern.model_of(body))
        stream = operation in GENERATING and govern.wants_stream(body)
        governed = govern.govern(
            body,
            self._limits,
            adapter=target.version is not None,
            cache_salt=tenant.cache_salt if operation in CACHED else None,
        )
        call = asked.call = self._call(asked, target, operation, governed)
        if operation in CACHED:
            call.prompt_tokens = govern.prompt_chars(body) // govern.CHARS_A_TOKEN
        self._admit(call)
        exchange = Exchange(
            call, self._buses, self._handle, self._deadline(), self._limits.max_buffer_bytes
        )
        try:
            if stream:
                return await self._stream(asked, target, exchange)
            with exchange:
                reply = await exchange.whole()
        except ApiError:
            self._note(asked, exchange.call, None)
            raise
        return self._whole(asked, target, exchange.call, reply)

    def _prefetch(self, asked: Asked, model: str) -> None:
        """The rest of the body is still to come: its adapter may be loaded meanwhile."""
        try:
            target = self.known.resolve(asked.tenant, model)
        except ApiError:
            return  # the whole body decides what the answer is
        if target.version is not None:
            asked.prefetched_by = self._buses.fleet.prefetch(target.version)
            if asked.prefetched_by is not None:
                self._buses.fetch(target.version, asked.prefetched_by)

    def _admit(self, call: Call) -> None:
        """Refuse what would wait for longer than it should, wherever it went."""
        fleet = self._buses.fleet
        if not fleet.answering():
            raise Overloaded("No replica is ready; try again.", retry_after_s=2)
        if fleet.full(self._limits.max_outstanding_per_replica):
            raise Overloaded("Every replica is busy; try again.", retry_after_s=1)
        after_s = fleet.shed_after_s(call)
        if after_s is not None:
            self._metrics.shed()
            raise Overloaded("Every replica is busy; try again.", retry_after_s=ceil(after_s))

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._limits.request_timeout_s

    def _call(
        self, asked: Asked, target: Target, operation: Operation, body: dict[str, Any]
    ) -> Call:
        return Call(
            gateway=self.id,
            number=0,
            request_id=asked.access.request_id,
            operation=operation,
            body=body,
            version=target.version,
            fleet=self._buses.fleet,
        )

    async def _stream(self, asked: Asked, target: Target, exchange: Exchange) -> Response:
        """The status line waits for the first output, so that errors can still be statuses."""
        exchange.open()
        try:
            first = await exchange.next(self._limits.head_hold_s)
        except BaseException:
            exchange.close()
            raise
        if first is None and exchange.reply is not None and not exchange.reply.streamed:
            exchange.close()
            return self._whole(asked, target, exchange.call, exchange.reply)

        def ended(cut: str | None) -> None:
            asked.access.error = cut
            self._note(asked, exchange.call, exchange.reply)

        return StreamedAnswer(
            exchange,
            first or b"",
            headers_of(target, exchange.call),
            self._limits.keep_alive_s,
            lambda: asked.metadata(target),
            ended,
        )

    def _whole(self, asked: Asked, target: Target, call: Call, reply: Reply) -> Response:
        self._note(asked, call, reply)
        headers = {**headers_of(target, call), **reply.headers}
        body = reply.body
        if reply.status == 200:
            body = with_metadata(body, asked.metadata(target))
        else:
            asked.access.error = error_code(reply)
        return Response(body, reply.status, headers, "application/json")

    def _note(self, asked: Asked, call: Call, reply: Reply | None) -> None:
        """Write down where the call went and what it cost."""
        access = asked.access
        access.adapter = call.version.name if call.version else None
        if call.choice is not None:
            access.replica, access.placement = call.choice.replica, call.choice.reason.value
            self._metrics.placed(call.choice.reason.value)
            self._metrics.expected(call.choice.delay, access.first_byte_s)
            self.placements.note(access.adapter, call.choice, reply, access)
        if reply is not None:
            access.prompt_tokens = reply.usage.prompt_tokens
            access.completion_tokens = reply.usage.completion_tokens
