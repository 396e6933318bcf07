"""The Serve application: the only place where deployments are wired together."""

from typing import Any

from pydantic import SecretStr
from ray import serve
from ray.serve.config import RequestRouterConfig
from ray.serve.schema import LoggingConfig

from serve_app import pepper
from serve_app.configuration import parse
from serve_app.control.deployment import ControlDeployment
from serve_app.engine.replica import ReplicaDeployment
from serve_app.gateway.ingress import IngressDeployment
from serve_app.routing.router import CallRouter
from serve_app.settings import AppSettings

VLLM = "serve_app.engine.vllm_engine:VllmEngine"
MANY = 100_000
"""Serve's own request caps stand above ours, which know what a request costs."""

DRAIN_MARGIN_S = 10
"""A replica that is to leave stays until the longest request it may have has had its time."""


def build(args: dict[str, Any]) -> serve.Application:
    """What ``serve run configs/prod.yaml`` starts.

    Raises:
        ConfigError: naming each key that is unknown or has a bad value.
    """
    return assemble(parse(AppSettings, args, "args"), VLLM)


def assemble(
    settings: AppSettings, engine: str, router: type[CallRouter] = CallRouter
) -> serve.Application:
    """The application with the engine found at import path ``engine``."""
    settings = _peppered(settings)
    logging = LoggingConfig(encoding="JSON", enable_access_log=False)
    control = ControlDeployment.options(
        graceful_shutdown_timeout_s=10, logging_config=logging
    ).bind(settings)
    replicas = ReplicaDeployment.options(
        max_ongoing_requests=MANY,
        request_router_config=RequestRouterConfig(request_router_class=router),
        health_check_period_s=1,
        health_check_timeout_s=settings.engine.hang_timeout_s + 10,
        graceful_shutdown_timeout_s=settings.gateway.request_timeout_s + DRAIN_MARGIN_S,
        logging_config=logging,
    ).bind(settings, engine, control)
    gateways = IngressDeployment.options(
        max_ongoing_requests=MANY,
        graceful_shutdown_timeout_s=60,
        logging_config=logging,
    )
    return gateways.bind(settings, replicas, control)


def _peppered(settings: AppSettings) -> AppSettings:
    """The settings every process gets: with one pepper, the same after a restart."""
    if settings.pepper.get_secret_value():
        return settings
    kept = SecretStr(pepper.kept_in(settings.registry.data_dir.absolute()))
    return settings.model_copy(update={"pepper": kept})
