"""What the benchmark starts, derived from a config file: more adapters, less room for them."""

import json
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from serve_app.adapters.version import CONFIG_FILE, FILES
from serve_app.bench.launches import application
from serve_app.bench.live.loads import LOADS_VARIABLE
from serve_app.bench.live.plan import Plan
from serve_app.bench.sides import Launch
from serve_app.cli import check
from serve_app.cli.config_file import ConfigFile, Ours
from serve_app.cli.environment import any_free
from serve_app.errors import ConfigError

BUILD = "serve_app.bench.live.app:build"
MAX_LORAS, MAX_CPU_LORAS = 2, 4
NEVER_S = 1e9
"""A wait for which nobody is refused: refusing helps every routing, and would hide what they do."""


def name(adapter: int) -> str:
    """Of adapter ``adapter`` of a plan."""
    return f"live-{adapter:02}"


def key(client: int) -> str:
    """Of client ``client`` of a plan."""
    return f"sk-live-client-{client}"


def ours(config: ConfigFile) -> Ours:
    """The settings of this application in ``config``.

    Raises:
        ConfigError: it deploys another application, or names files that are not there.
    """
    if config.ours is None:
        raise ConfigError(f"{config.path}: deploys another application")
    missing = [finding.message for finding in check.paths(config.ours)]
    if missing or not config.ours.directory.adapters:
        problems = missing or ["declares no adapters"]
        hint = "`python -m serve_app.demo` makes the demo's model and adapters"
        raise ConfigError("\n".join([f"{config.path}:", *problems, hint]))
    return config.ours


def launch(config: ConfigFile, plan: Plan, out: Path) -> tuple[Launch, Path]:
    """How to start the application, and the file its engines write their loads to. Whatever it
    needs is made anew in ``out / "live"``.

    Raises:
        ConfigError: as ``ours``.
    """
    folder = (out / "live").absolute()
    sources = [Path(one.path) for one in ours(config).directory.adapters]
    shutil.rmtree(folder, ignore_errors=True)
    folders = copies(sources, plan.adapters, folder / "adapters")
    loads = folder / "loads.txt"
    derived = derive(config.content, plan, folders, any_free(), loads)
    return application(derived, folder / "live.yaml"), loads


def copies(sources: Sequence[Path], number: int, folder: Path) -> list[Path]:
    """So many adapters, each with a content of its own, made from the ``sources`` in turn."""
    made = []
    for index in range(number):
        made.append(folder / name(index))
        made[-1].mkdir(parents=True)
        source = sources[index % len(sources)]
        for file in FILES:
            shutil.copyfile(source / file, made[-1] / file)
        config = made[-1] / CONFIG_FILE
        config.write_text(json.dumps(json.loads(config.read_text()) | {"revision": name(index)}))
    return made


def derive(
    content: Mapping[str, Any], plan: Plan, adapters: Sequence[Path], port: int, loads: Path
) -> dict[str, Any]:
    """The config with so many replicas and ``adapters``, on ``port`` of this machine. Pure."""
    derived: dict[str, Any] = deepcopy(dict(content))
    derived["http_options"] = {"host": "127.0.0.1", "port": port}
    application = derived["applications"][0]
    application["import_path"] = BUILD
    args = application["args"]
    args["engine"] |= {"max_loras": MAX_LORAS, "max_cpu_loras": MAX_CPU_LORAS}
    args["gateway"] = {**args.get("gateway", {}), "max_wait_s": NEVER_S}
    args["registry"] = {
        "data_dir": str(loads.parent / "data"),
        "roots": [str(adapters[0].parent)],
    }
    for deployment in application["deployments"]:
        _set(deployment, plan, adapters, loads)
    return derived


def _set(deployment: dict[str, Any], plan: Plan, adapters: Sequence[Path], loads: Path) -> None:
    deployment.pop("autoscaling_config", None)
    if deployment["name"] == "control":
        deployment["user_config"] = _directory(plan, adapters)
        return
    deployment["num_replicas"] = plan.replicas if deployment["name"] == "engine" else 1
    if deployment["name"] == "engine":
        options = deployment.setdefault("ray_actor_options", {})
        variables = options.setdefault("runtime_env", {}).setdefault("env_vars", {})
        variables[LOADS_VARIABLE] = str(loads)


def _directory(plan: Plan, adapters: Sequence[Path]) -> dict[str, Any]:
    clients = range(plan.clients)
    return {
        "tenants": [{"id": f"client_{n}", "keys": [key(n)], "adapters": ["*"]} for n in clients],
        "adapters": [{"name": folder.name, "path": str(folder)} for folder in adapters],
    }
