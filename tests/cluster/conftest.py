"""One application with stub engines for all tests of this folder that share it."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import harness
from tests.harness import RunningApp

ADAPTERS = tuple(f"adapter-{n}" for n in range(8))


@pytest.fixture(scope="session")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories in PEFT's format that pass preflight, one an adapter."""
    root = tmp_path_factory.mktemp("adapters")
    for number, name in enumerate((*ADAPTERS, "broken")):
        _write_adapter(root / name, number)
    return root


def stub_config(adapters: Path, gateways: int = 1, replicas: int = 2) -> dict[str, Any]:
    """Two tenants over stub engines; ``admin`` may use everything."""
    config = harness.config("demo.yaml")
    config["applications"][0]["import_path"] = "tests.cluster.stub_app:build"
    harness.args(config)["engine"] = {
        "model": "stub",
        "max_loras": 2,
        "max_cpu_loras": 4,
        "max_num_seqs": 32,
    }
    harness.deployment(config, "engine").update(
        num_replicas=replicas, ray_actor_options={"num_cpus": 0}
    )
    gateway = harness.deployment(config, "gateway")
    gateway.update(num_replicas=gateways, ray_actor_options={"num_cpus": 0})
    gateway["user_config"] = {
        "tenants": [
            {"id": "one", "keys": ["sk-one"], "default_adapter": "adapter-0"},
            {"id": "admin", "keys": ["sk-admin"], "adapters": ["*"], "base": True, "admin": True},
        ],
        "adapters": [
            {"name": name, "path": str(adapters / name)} for name in (*ADAPTERS, "broken")
        ],
    }
    return config


@pytest.fixture(scope="module")
def app(adapters: Path) -> Iterator[RunningApp]:
    with harness.running(stub_config(adapters)) as app:
        yield app


def _write_adapter(folder: Path, number: int) -> None:
    folder.mkdir()
    config = {"peft_type": "LORA", "r": 8, "lora_alpha": 8, "bias": "none", "number": number}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    tensors, end = {}, 0
    for matrix, shape in (("A", [8, 4]), ("B", [4, 8])):
        name = f"base_model.model.layers.0.q_proj.lora_{matrix}.weight"
        tensors[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + 128]}
        end += 128
    header = json.dumps(tensors).encode()
    weights = struct.pack("<Q", len(header)) + header + bytes(end)
    (folder / "adapter_model.safetensors").write_bytes(weights)
