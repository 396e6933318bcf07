"""Stub engines, and one application of them for the tests of this folder that share it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import harness
from tests.harness import RunningApp
from tests.small_models import write_adapter, write_base

BASE = "base-of-the-stub"
ADAPTERS = tuple(f"adapter-{n}" for n in range(8))


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories in PEFT's format that pass preflight, one an adapter; beside them, the base."""
    root = tmp_path_factory.mktemp("adapters")
    write_base(root / BASE)
    for number, name in enumerate((*ADAPTERS, "broken")):
        write_adapter(root / name, seed=number)
    return root


def stub_config(adapters: Path, data: Path | None = None, gateways: int = 1) -> dict[str, Any]:
    """Two tenants over two stub engines; ``admin`` may use everything. Its registry is in ``data``,
    or else ends with it."""
    config = harness.config("demo.yaml")
    config["applications"][0]["import_path"] = "tests.cluster.stub_app:build"
    harness.args(config)["engine"] = {
        "model": str(adapters / BASE),
        "served_model_name": "stub",
        "max_loras": 2,
        "max_cpu_loras": 4,
        "max_num_seqs": 32,
    }
    harness.deployment(config, "engine").update(num_replicas=2, ray_actor_options={"num_cpus": 0})
    harness.args(config)["gateway"]["max_wait_s"] = 60
    harness.args(config)["registry"] = {
        "data_dir": str(data or harness.DEMO_DATA),
        "roots": [str(adapters)],
        "grace_s": 1,
        "drain_s": 5,
    }
    harness.deployment(config, "gateway").update(
        num_replicas=gateways, ray_actor_options={"num_cpus": 0}
    )
    control = harness.deployment(config, "control")
    control["ray_actor_options"] = {"num_cpus": 0}
    control["user_config"] = {
        "tenants": [
            {"id": "one", "keys": ["sk-one"], "default_adapter": "adapter-0"},
            {"id": "admin", "keys": ["sk-admin"], "adapters": ["*"], "base": True, "admin": True},
        ],
        "adapters": [
            {"name": name, "path": str(adapters / name)} for name in (*ADAPTERS, "broken")
        ],
    }
    return config


@pytest.fixture(scope="package")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A registry that outlives the application."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="package")
def one_gateway(adapters: Path, data: Path) -> Iterator[RunningApp]:
    """``test_tenants.py``, which comes last here, ends it."""
    with harness.running(stub_config(adapters, data)) as app:
        yield app


@pytest.fixture(scope="package")
def app(one_gateway: RunningApp) -> RunningApp:
    return one_gateway
