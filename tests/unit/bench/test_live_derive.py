import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from serve_app.adapters.version import FILES, digest_of
from serve_app.bench.live import derive
from serve_app.bench.live.loads import LOADS_VARIABLE
from serve_app.bench.live.plan import Plan
from serve_app.cli.config_file import read
from serve_app.configuration import parse
from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import AppSettings

DEMO = Path("configs/demo.yaml")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """An adapter, as far as a copy of it needs one."""
    folder = tmp_path / "source"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(json.dumps({"r": 8}))
    return folder


def derived(plan: Plan, tmp_path: Path) -> dict[str, Any]:
    folders = [tmp_path / derive.name(n) for n in range(plan.adapters)]
    content = yaml.safe_load(DEMO.read_text())
    return derive.derive(content, plan, folders, 1234, tmp_path / "loads.txt")


def test_copies_of_an_adapter_have_contents_of_their_own(source: Path, tmp_path: Path) -> None:
    made = derive.copies([source], 3, tmp_path / "made")
    assert len({digest_of(folder) for folder in (source, *made)}) == 4
    assert json.loads((made[0] / FILES[0]).read_text())["r"] == 8


def test_what_is_started_is_a_config_of_ours_with_little_room_and_nobody_refused(
    tmp_path: Path,
) -> None:
    plan = Plan(replicas=3)
    (application,) = derived(plan, tmp_path)["applications"]
    settings = parse(AppSettings, application["args"], "args")
    assert (settings.engine.max_loras, settings.engine.max_cpu_loras) == (2, 4)
    assert settings.gateway.max_wait_s > 1e6
    by_name = {one["name"]: one for one in application["deployments"]}
    assert by_name["engine"]["num_replicas"] == 3
    assert by_name["gateway"]["num_replicas"] == 1
    variables = by_name["engine"]["ray_actor_options"]["runtime_env"]["env_vars"]
    assert variables[LOADS_VARIABLE] == str(tmp_path / "loads.txt")
    directory = parse(Directory, by_name["control"]["user_config"], "user_config")
    assert len(directory.adapters) == plan.adapters
    keys = {tenant.inference_key for tenant in directory.tenants}
    assert keys == {derive.key(n) for n in range(plan.clients)}


def test_a_config_whose_adapters_are_not_there_is_refused_with_what_to_do(tmp_path: Path) -> None:
    content = yaml.safe_load(DEMO.read_text())
    content["applications"][0]["args"]["engine"]["model"] = str(tmp_path / "nowhere")
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(content))
    with pytest.raises(ConfigError, match=r"serve_app\.demo"):
        derive.ours(read(file))
