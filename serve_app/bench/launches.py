"""How each side is started, from a config file: the edge between ``derive`` and the machine."""

import signal
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from serve_app.bench.derive import (
    EVEN_TERMS,
    Target,
    bare_arguments,
    engine_environment,
    one_replica,
    targets,
)
from serve_app.bench.plan import Side
from serve_app.bench.sides import Launch
from serve_app.cli import check
from serve_app.cli.config_file import ConfigFile, Ours
from serve_app.cli.environment import any_free
from serve_app.cli.up import script
from serve_app.errors import ConfigError

_VLLM = ("-m", "vllm.entrypoints.openai.api_server")


@dataclass(frozen=True)
class Contest:
    """Both sides, ready to be started, and the adapters both are asked for."""

    launches: dict[Side, Launch]
    targets: list[Target]


def contest(config: ConfigFile, out: Path) -> Contest:
    """Derive both sides from ``config``; logs, and the config of our side, go to ``out``.

    Raises:
        ConfigError: it is another application's config, or names what is not there.
    """
    ours = _ours(config)
    asked = targets(ours.directory, ours.settings.engine.max_loras)
    derived = one_replica(config.content, any_free())
    launches = {
        Side.OURS: application(derived, out / "ours.yaml", "ours"),
        Side.BARE: _launch_bare(config, ours, out),
    }
    return Contest(launches, asked)


def application(content: Mapping[str, Any], file: Path, name: str = "the application") -> Launch:
    """How `serve-app up` starts what ``content`` says, once that is written to ``file``; its log
    goes beside. It listens on the port that ``content`` names."""
    file.write_text(yaml.safe_dump(dict(content), sort_keys=False))
    return Launch(
        name=name,
        command=[str(script("serve-app")), "up", str(file)],
        environment=EVEN_TERMS,
        port=content["http_options"]["port"],
        ready="/ready",
        stop=signal.SIGINT,
        log=file.with_suffix(".log"),
    )


def _ours(config: ConfigFile) -> Ours:
    if config.ours is None:
        raise ConfigError(f"{config.path}: deploys another application")
    missing = [finding.message for finding in check.paths(config.ours)]
    if missing:
        hint = "`python -m serve_app.demo` makes the demo's model and adapters"
        raise ConfigError("\n".join([f"{config.path}:", *missing, hint]))
    return config.ours


def _launch_bare(config: ConfigFile, ours: Ours, out: Path) -> Launch:
    port = any_free()
    asked = targets(ours.directory, ours.settings.engine.max_loras)
    arguments = bare_arguments(ours.settings.engine, asked, port)
    return Launch(
        name="bare vLLM",
        command=[sys.executable, *_VLLM, *arguments],
        environment={**EVEN_TERMS, **engine_environment(config.content)},
        port=port,
        ready="/health",
        stop=signal.SIGTERM,
        log=out / "bare.log",
    )
