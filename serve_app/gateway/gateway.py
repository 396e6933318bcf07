"""A request's way through the gateway, from a body to an answer."""

import asyncio
import time
import uuid
from collections.abc import Callable
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from ray.serve.handle import DeploymentHandle
from starlette.requests import Request
from starlette.responses import Response

from serve_app.errors import ApiError, ModelNotFound, Overloaded
from serve_app.experiments import unit
from serve_app.experiments.assignment import Assignment
from serve_app.gateway import govern
from serve_app.gateway.asked import Asked
from serve_app.gateway.buses import Buses
from serve_app.gateway.caps import narrowed
from serve_app.gateway.delivery import Delivery
from serve_app.gateway.exchange import Exchange
from serve_app.gateway.limiter import Limiter
from serve_app.gateway.meter import Meter
from serve_app.gateway.reading import read
from serve_app.gateway.reckoner import Reckoner
from serve_app.gateway.registry import Registry
from serve_app.gateway.shadows import Shadows
from serve_app.gateway.turnstile import Turnstile
from serve_app.routing.messages import GENERATING, Call, News, Operation
from serve_app.routing.placements import Placements
from serve_app.routing.policy import Tuning
from serve_app.settings import GatewaySettings
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.snapshot import Identity, Snapshot, Target
from serve_app.tenancy.tenant import Tenant

CACHED = GENERATING | {Operation.EMBEDDING}
_HANDLES = 4096
_CAPS = 4096


class Gateway:
    """Authenticates by the registry's snapshot, then governs, places and answers.

    Args:
        replicas: handle of the engine deployment.
        registry: what control has published.
        settings: what one request may ask for, and for how long.
        spool_dir: where what requests have used waits for control.
    """

    def __init__(
        self,
        replicas: DeploymentHandle,
        registry: Registry,
        settings: GatewaySettings,
        metrics: GatewayMetrics,
        spool_dir: Path,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.registry = registry
        self.placements = Placements(time.time)
        self._settings = settings
        self._metrics = metrics
        tuning = Tuning(shed_above_s=settings.max_wait_s)
        self._delivery = Delivery(settings, metrics, self.placements)
        self._buses = Buses(replicas, self.id, tuning, metrics.copied)
        self.meter = Meter(self.id, spool_dir, registry.record, metrics)
        self._reckoner = Reckoner()
        self._limiter = Limiter(self.id, registry.share, metrics)
        self._turnstile = Turnstile(self._buses.fleet, settings, metrics)
        self._shadows = Shadows(
            self._buses.fleet, settings, metrics, self._exchange, self.meter.note
        )
        self._caps = lru_cache(_CAPS)(partial(narrowed, settings))
        self._handle: Callable[[str], DeploymentHandle] = lru_cache(_HANDLES)(
            lambda key: replicas.options(multiplexed_model_id=key or "base")
        )

    @property
    def ready(self) -> bool:
        """It knows its tenants, and at least one engine has told that it lives."""
        return self.registry.snapshot is not None and self._buses.fleet.answering() > 0

    async def close(self) -> None:
        """Let go of control and of the replicas."""
        await self._limiter.close()
        await self._shadows.close()
        await self.meter.close()
        await self.registry.close()
        await self._buses.hang_up()

    def fleet(self) -> dict[str, News]:
        """What each running replica told last, by its id."""
        return self._buses.fleet.told()

    @property
    def outstanding(self) -> int:
        """Calls that are placed and not over."""
        return self._buses.fleet.outstanding()

    def authenticate(self, request: Request) -> Identity:
        """The caller.

        Raises:
            InvalidApiKey: it sent no key, or one that is not good.
            TenantDisabled: its tenant is.
        """
        known = self.known.authenticate(request.headers.get("authorization"), time.time())
        request.state.access.tenant, request.state.access.key = known.tenant.id, known.key.id
        return known

    @property
    def known(self) -> Snapshot:
        """The snapshot in force.

        Raises:
            Overloaded: there is none yet.
        """
        if self.registry.snapshot is None:
            raise Overloaded("Starting; try again.", retry_after_s=2)
        return self.registry.snapshot

    async def find(self, tenant: Tenant, model: str | None) -> Target | Assignment:
        """What answers ``model``, or the experiment whose arms do; a name unknown here is looked up
        once more at control.

        Raises:
            ModelNotFound: unknown or not granted, which look the same.
            NoAdapterConfigured: nothing was named and there is nothing to fall back to.
        """
        try:
            return self._find(tenant, model)
        except ModelNotFound:
            if not await self.registry.caught_up():
                raise
        return self._find(tenant, model)

    async def answer(self, request: Request, identity: Identity, operation: Operation) -> Response:
        """Answer one inference request.

        Raises:
            ApiError: whatever keeps it from being answered.
        """
        asked = Asked(request, identity)
        asked.access.operation = operation.value
        caps = self._caps(identity.tenant.limits, identity.key.limits)
        try:
            raw = await read(request, caps.max_body_bytes, partial(self._prefetch, asked))
            return await self._answer(asked, operation, govern.parse(raw), caps)
        finally:
            if asked.prefetched_by is not None:
                self._metrics.prefetched(asked.prefetched_by == asked.placed_on)

    async def _answer(
        self, asked: Asked, operation: Operation, body: govern.Body, caps: GatewaySettings
    ) -> Response:
        tenant = asked.tenant
        found = await self.find(tenant, govern.model_of(body))
        target = self._assigned(asked, found, body) if isinstance(found, Assignment) else found
        stream = operation in GENERATING and govern.wants_stream(body)
        governed = govern.govern(
            body,
            caps,
            adapter=target.version is not None,
            cache_salt=tenant.cache_salt if operation in CACHED else None,
        )
        if target.version is not None:
            asked.access.adapter = target.version.name
            asked.access.version = target.version.number
        call = asked.call = self._call(asked, target, operation, governed)
        if operation in CACHED:
            call.prompt_tokens = govern.prompt_chars(body) // govern.CHARS_A_TOKEN
        self._reckoner.reckon(asked, call)
        await self._limiter.admit(asked)
        await self._turnstile.enter(asked, call)
        if isinstance(found, Assignment) and operation in GENERATING:
            self._shadow(asked, found, call, body)
        return await self._delivery.respond(asked, target, self._exchange(call), stream=stream)

    def _find(self, tenant: Tenant, model: str | None) -> Target | Assignment:
        found = self.registry.trials.find(tenant, model, self.known.base)
        return found or self.known.resolve(tenant, model)

    def _assigned(self, asked: Asked, assignment: Assignment, body: govern.Body) -> Target:
        """What the request's arm is answered with. An arm whose model is gone has nobody counted,
        and the control arm answers in its place."""
        header = asked.request.headers.get(unit.HEADER)
        told = unit.unit_of(header, body, asked.access.request_id)
        assigned = assignment.assigned(asked.tenant.id, told)
        try:
            target = self.known.resolve_arm(asked.tenant, assigned.arm.model)
        except ModelNotFound:
            assigned = assignment.uncounted()
            target = self.known.resolve_arm(asked.tenant, assigned.arm.model)
        asked.access.assigned = assigned
        self._metrics.assigned(assigned.experiment.name, assigned.arm.name)
        return target

    def _shadow(self, asked: Asked, assignment: Assignment, call: Call, body: govern.Body) -> None:
        """Send copies to the shadow arms that are to have this request."""
        for assigned in assignment.shadowed(asked.access.assigned, call.request_id):
            try:
                target = self.known.resolve_arm(asked.tenant, assigned.arm.model)
            except ModelNotFound:
                continue
            self._shadows.copy(asked, call, body, assigned, target)

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

    def _exchange(self, call: Call) -> Exchange:
        settings = self._settings
        deadline = asyncio.get_running_loop().time() + settings.request_timeout_s
        return Exchange(call, self._buses, self._handle, deadline, settings.max_buffer_bytes)

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
