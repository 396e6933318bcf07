"""What both sides are started with, derived from one Serve config file. Pure.

The engine's arguments and environment are the same on both sides by construction.
"""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import EngineSettings

EVEN_TERMS = {
    # Ray starts its workers at nice 15. The engine, its server and the client share the cores.
    "RAY_worker_niceness": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "VLLM_NO_USAGE_STATS": "1",
}
"""Environment of both sides, whatever the config says."""


@dataclass(frozen=True)
class Target:
    """An adapter to ask for, and a key that may."""

    key: str
    adapter: str
    path: str


def targets(directory: Directory, most: int) -> list[Target]:
    """At most ``most`` tenants with an adapter of their own. As many fit into one batch of the
    engine; with more, the engine's own queue for slots would be measured.

    Raises:
        ConfigError: there is none.
    """
    paths = {adapter.name: str(Path(adapter.path).absolute()) for adapter in directory.adapters}
    found = [
        Target(key, tenant.default_adapter, path)
        for tenant in directory.tenants
        if tenant.default_adapter
        and (path := paths.get(tenant.default_adapter))
        and (key := tenant.inference_key)
    ]
    if not found:
        raise ConfigError("no tenant has a default adapter: there is nothing to ask for")
    return found[:most]


def one_replica(content: Mapping[str, Any], port: int) -> dict[str, Any]:
    """The config with one engine and one gateway, on ``port`` of this machine."""
    derived: dict[str, Any] = deepcopy(dict(content))
    derived["http_options"] = {"host": "127.0.0.1", "port": port}
    for deployment in _deployments(derived):
        deployment.pop("autoscaling_config", None)
        deployment["num_replicas"] = 1
    return derived


def engine_environment(content: Mapping[str, Any]) -> dict[str, str]:
    """Environment variables the config gives to the engine's process."""
    for deployment in _deployments(content):
        if deployment.get("name") == "engine":
            options = deployment.get("ray_actor_options") or {}
            variables = (options.get("runtime_env") or {}).get("env_vars") or {}
            return {key: str(value) for key, value in variables.items()}
    return {}


def bare_arguments(settings: EngineSettings, targets: list[Target], port: int) -> list[str]:
    """What to start ``vllm.entrypoints.openai.api_server`` with: its own scheduler, not ours."""
    modules = [f"{target.adapter}={target.path}" for target in targets]
    where = ["--host", "127.0.0.1", "--port", str(port)]
    bare = settings.model_copy(update={"slot_turn_s": 0.0})
    return [*bare.as_vllm_arguments(), *where, "--lora-modules", *modules]


def _deployments(content: Mapping[str, Any]) -> list[dict[str, Any]]:
    return content["applications"][0].get("deployments") or []
