"""``cluster.yaml`` against Ray's own schema, and what it must hold beyond that."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.autoscaler._private.util import prepare_config, validate_config

from serve_app.cli import environment
from serve_app.cli.environment import Machine, Ports

ROOT = Path(__file__).parents[2]
STARTS = ("head_start_ray_commands", "worker_start_ray_commands")
PER_NODE = {
    "RAY_SERVE_HAPROXY_NBTHREAD",  # Ray's default fits machines larger than a laptop
    "RAY_SERVE_HAPROXY_BINARY_PATH",  # set beside the file, for it depends on the node
    # Load balancers further out must see a gateway leave: Serve's 30 s stay.
    "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S",
}


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load((ROOT / "cluster.yaml").read_text())
    return content


@pytest.fixture(scope="module")
def fast_path() -> dict[str, str]:
    lines = (ROOT / "configs" / "fast-path.env").read_text().splitlines()
    pairs = (line.split("=", 1) for line in lines if line and not line.startswith("#"))
    return {name: value for name, value in pairs}  # noqa: C416 - a pair is a list of two


def application(name: str) -> dict[str, Any]:
    content = yaml.safe_load((ROOT / "configs" / name).read_text())
    (application,) = content["applications"]
    return dict(application)


def test_ray_accepts_it(cluster: dict[str, Any]) -> None:
    validate_config(prepare_config(copy.deepcopy(cluster)))


def test_no_engine_can_be_placed_on_the_head(cluster: dict[str, Any]) -> None:
    head = cluster["available_node_types"][cluster["head_node_type"]]
    engines = [one for one in application("prod.yaml")["deployments"] if one["name"] == "engine"]
    assert head["resources"]["GPU"] == 0
    assert engines[0]["ray_actor_options"]["num_gpus"] >= 1


def test_there_may_be_a_worker_for_every_engine_replica(cluster: dict[str, Any]) -> None:
    worker = cluster["available_node_types"]["gpu_worker"]
    (engine,) = [one for one in application("prod.yaml")["deployments"] if one["name"] == "engine"]
    replicas = engine["autoscaling_config"]["max_replicas"]
    assert worker["resources"]["GPU"] == 1
    assert worker["min_workers"] == 0
    assert worker["max_workers"] == cluster["max_workers"] >= replicas
    assert worker["resources"]["CPU"] >= engine["ray_actor_options"]["num_cpus"]


@pytest.mark.parametrize("commands", STARTS)
def test_every_node_has_the_fast_path_before_ray_starts(
    commands: str, cluster: dict[str, Any]
) -> None:
    (start,) = [one for one in cluster[commands] if "ray start" in one]
    before = start[: start.index("ray start")]
    assert "source ~/serve-app/configs/fast-path.env" in before
    assert 'RAY_SERVE_HAPROXY_BINARY_PATH="$(command -v serve-app-haproxy)"' in before


def test_every_node_asks_for_the_token_and_has_it(
    cluster: dict[str, Any], fast_path: dict[str, str]
) -> None:
    assert fast_path["RAY_AUTH_MODE"] == "token"
    assert cluster["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"


def test_the_dashboard_listens_on_loopback(cluster: dict[str, Any]) -> None:
    assert "--dashboard-host=127.0.0.1" in cluster["head_start_ray_commands"][-1]


def test_what_it_sends_to_the_nodes_exists(cluster: dict[str, Any]) -> None:
    sent = [path for path in cluster["file_mounts"].values() if not path.startswith("~")]
    assert sent
    assert all((ROOT / path).exists() for path in sent)


def test_a_cluster_runs_on_the_same_fast_path_as_one_machine(fast_path: dict[str, str]) -> None:
    folder, script = Path("/folder"), Path("/script")
    machine = Machine(processors=64, open_files=65_536)
    always = {k: v for k, v in environment.marked({}, "run").items() if k.startswith("RAY_")}
    one = environment.fast_path(always, folder, script, Ports(), machine)
    ports = {name for name in one if name.endswith("_PORT")}
    paths = {name for name, value in one.items() if value.startswith(str(folder))}
    assert fast_path == {k: v for k, v in one.items() if k not in PER_NODE | ports | paths}
