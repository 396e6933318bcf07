"""The Ray Serve deployment ``control``: one replica, the registry behind methods of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ray import serve
from ray.exceptions import RayError

from serve_app.adapters.artifacts import Artifacts
from serve_app.adapters.base import read_base
from serve_app.adapters.commands import Answer
from serve_app.adapters.report import Report as Residences
from serve_app.adapters.sources import SourceRules
from serve_app.adapters.staging import Stager
from serve_app.adapters.version import FILES
from serve_app.configuration import parse
from serve_app.control.control import Control
from serve_app.control.probing import Canary, Send
from serve_app.control.registering import Workshop
from serve_app.control.rules import Rules
from serve_app.control.times import Times
from serve_app.directory import Directory
from serve_app.errors import ReplicaLost
from serve_app.feed import AnyCommand, Update
from serve_app.routing.messages import Probe, Reply
from serve_app.settings import AppSettings, EngineSettings, RegistrySettings
from serve_app.telemetry.metrics import ControlMetrics
from serve_app.tenancy.allot import Report, Shares
from serve_app.tenancy.usage import Batch

CHUNK_BYTES = 1 << 20
SETTLE_S = 10.0
ANYWHERE = (Path("/"),)
"""Where local adapters of the configuration may lie: it is the operator's own."""


class ControlReplica:
    """The registry as gateways and replicas call it.

    Args:
        settings: the application's.
        engine: name of the engine deployment, whose replicas probe candidates.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: AppSettings, engine: str = "engine"
    ) -> None:
        self._settings = settings
        self._metrics = ControlMetrics()
        self._artifacts = await asyncio.to_thread(Artifacts, settings.registry.artifacts_dir)
        await asyncio.to_thread(self._artifacts.clean)
        self._control = await Control.open(
            settings.registry.url,
            await self._workshop(settings, engine),
            rules_of(settings),
            Times(
                grace_s=settings.registry.grace_s,
                requests_days=settings.registry.usage_requests_days,
                usage_days=settings.registry.usage_days,
            ),
            settings.pepper.get_secret_value().encode(),
            settings.limits,
        )
        loop = asyncio.get_running_loop()
        self._sweeping = loop.create_task(self._control.sweep_forever())

    async def _workshop(self, settings: AppSettings, engine: str) -> Workshop:
        base = await asyncio.to_thread(
            read_base, settings.engine.model, trust_remote_code=settings.engine.trust_remote_code
        )
        rank = settings.engine.max_lora_rank
        registry = settings.registry
        admins = source_rules(registry)
        stager = Stager(self._artifacts, base, admins, rank)
        return Workshop(
            stager=stager,
            trusted=stager.under(replace(admins, roots=ANYWHERE)),
            tenants=lambda tenant: stager.under(tenant_rules(registry, tenant)),
            contents=self._artifacts,
            probe=Canary(probes_of(engine)) if registry.canary else None,
            outcomes=self._metrics,
        )

    async def manage(self, command: AnyCommand) -> Answer:
        """Do what a gateway asks; refusals are answers too."""
        return await self._control.manage(command)

    async def follow(self, tenants: bool) -> AsyncIterator[Update]:
        """One whole update, then changes as they come, a beat at least every second."""
        async for update in self._control.follow(tenants):
            yield update

    async def revision(self) -> int:
        """The revision in force."""
        return self._control.revision

    async def report(self, report: Residences) -> None:
        """Take in what a replica holds."""
        self._control.report(report)

    async def record(self, batch: Batch) -> None:
        """Write down what requests have used, once however often it comes.

        Raises:
            RegistryUnavailable: it may not have been written; it may come again.
        """
        await self._control.record(batch)

    async def share(self, report: Report) -> Shares:
        """Divide limits: what a gateway may use of those it has claimed."""
        return await self._control.share(report)

    async def read(self, digest: str, file: str) -> AsyncIterator[bytes]:
        """One of the two files of a content, for replicas on other nodes.

        Raises:
            ValueError: it is not one of the two, or no digest.
            OSError: it is not here.
        """
        if file not in FILES:
            raise ValueError(f"not a file of an adapter: {file!r}")
        path = self._artifacts.path(digest) / file
        with await asyncio.to_thread(path.open, "rb") as opened:
            while chunk := await asyncio.to_thread(opened.read, CHUNK_BYTES):
                yield chunk

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply declared tenants and adapters in place. Serve calls it.

        What can be staged quickly is live when this returns; what needs a replica's answer cannot
        be, for replicas may be starting too.

        Raises:
            ConfigError: naming what is wrong.
        """
        await self._control.reconfigure(parse(Directory, user_config, "user_config"))
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._settings.registry.canary else SETTLE_S):
                await self._control.settled()

    async def check_health(self) -> None:
        """Raise when the registry is not kept any more, so that Serve replaces this replica.

        A database that is away is not mended by that: reads go on here without it.
        """
        if self._sweeping.done():
            raise RuntimeError("the registry is not swept any more")
        book, followers = self._control.book, self._control.followers
        adapters = len(self._control.entries)
        self._metrics.holds(adapters, {s.value: n for s, n in book.states.items()}, followers)
        self._metrics.apart(self._control.sharing.apart)

    async def __del__(self) -> None:
        """Serve calls it when it stops this replica in good order."""
        control = getattr(self, "_control", None)
        if control is not None:
            await control.sharing.close()


def rules_of(settings: AppSettings) -> Rules:
    """What limits changes in this application."""
    return Rules(
        base=settings.engine.base_name,
        keep=settings.registry.keep_versions,
        capacity=capacity_of(settings.engine),
        experiments=settings.registry.max_experiments,
    )


def capacity_of(engine: EngineSettings) -> int:
    """Adapters an engine holds, as it is told at its start."""
    named = engine.vllm.get("max_cpu_loras", engine.max_cpu_loras)
    return int(named or 4 * engine.max_loras)


def source_rules(registry: RegistrySettings) -> SourceRules:
    """What an admin may name as a source."""
    return SourceRules(
        roots=tuple(root.absolute() for root in registry.roots),
        schemes=frozenset(registry.schemes),
        max_bytes=registry.max_bytes,
        timeout_s=registry.fetch_timeout_s,
        attempts=registry.fetch_attempts,
    )


def tenant_rules(registry: RegistrySettings, tenant: str) -> SourceRules:
    """What a tenant may name: nothing that another tenant's adapters could be taken from."""
    places = [place.replace("{tenant}", tenant) for place in registry.tenant_sources]
    return replace(
        source_rules(registry),
        roots=tuple(Path(place).absolute() for place in places if "://" not in place),
        prefixes=tuple(place for place in places if "://" in place),
    )


def probes_of(engine: str) -> Send:
    """Sends probes to the engine deployment of this application."""
    app = serve.get_replica_context().app_name

    async def send(probe: Probe) -> Reply:
        handle = serve.get_deployment_handle(engine, app)
        chosen = handle.options(multiplexed_model_id=probe.version.name)
        try:
            reply: Reply = await chosen.probe.remote(probe)
        except RayError:
            lost = ReplicaLost("The replica was lost while the adapter was tried on it.")
            return Reply(lost.status, str(lost).encode())
        return reply

    return send


ControlDeployment = serve.deployment(
    name="control", num_replicas=1, max_ongoing_requests=100_000, health_check_period_s=2
)(ControlReplica)
