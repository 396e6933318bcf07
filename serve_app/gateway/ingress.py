"""The ingress deployment: a gateway in a Ray Serve replica."""

from fastapi import FastAPI
from ray import serve
from ray.serve.handle import DeploymentHandle

from serve_app.gateway.app import create_app
from serve_app.gateway.gateway import Gateway
from serve_app.gateway.registry import Registry
from serve_app.settings import AppSettings
from serve_app.telemetry.gateway_metrics import GatewayMetrics


class Ingress:
    """One gateway. Tenants and adapters reach it from control, and change while it runs."""

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: AppSettings, replicas: DeploymentHandle, control: DeploymentHandle
    ) -> None:
        pepper = settings.pepper.get_secret_value().encode()
        registry = Registry(control, settings.engine.base_name, pepper)
        self._max_body_bytes = settings.gateway.max_body_bytes
        self._metrics = GatewayMetrics()
        spool_dir = settings.registry.spool_dir
        self._gateway = Gateway(replicas, registry, settings.gateway, self._metrics, spool_dir)

    def __serve_build_asgi_app__(self) -> FastAPI:
        return create_app(self._gateway, self._metrics, self._max_body_bytes)

    async def check_health(self) -> None:
        """Serve asks every few seconds, however little there is to do: the time to say what the
        gateway sees. It is never ill for want of replicas."""
        self._metrics.replicas(sum(news.alive for news in self._gateway.fleet().values()))


IngressDeployment = serve.deployment(name="gateway")(serve.ingress()(Ingress))
