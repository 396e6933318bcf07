"""The ingress deployment: a gateway in a Ray Serve replica."""

import asyncio
from typing import Any

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.configuration import parse
from serve_app.gateway.app import create_app
from serve_app.gateway.directory import snapshot
from serve_app.gateway.gateway import Gateway
from serve_app.settings import AppSettings, Directory
from serve_app.telemetry.metrics import GatewayMetrics


class Ingress:
    """One gateway. Tenants and adapters arrive as ``user_config`` and may change while it runs."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: AppSettings, replicas: DeploymentHandle
    ) -> None:
        self._settings = settings
        self._metrics = GatewayMetrics()
        self._gateway = Gateway(replicas, settings.gateway, self._metrics)

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Take over the declared tenants and adapters, all of them or none.

        Raises:
            ConfigError: what was declared cannot be served.
        """
        directory = parse(Directory, user_config, "user_config")
        pepper = self._settings.pepper.get_secret_value().encode()
        self._gateway.snapshot = await asyncio.to_thread(
            snapshot, directory, self._settings.engine, pepper
        )

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._gateway, self._metrics)


IngressDeployment = serve.deployment(name="gateway")(serve.ingress()(Ingress))
