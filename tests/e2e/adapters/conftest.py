"""The demo with a canary, a tenant that manages adapters of its own, and a hub that is slow."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.e2e.adapters.calls import MUSIC, OWNER, SLOW_S
from tests.e2e.contents import DEMO, write_content
from tests.harness import RunningApp
from tests.small_hub import running_hub


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where local sources may lie."""
    return tmp_path_factory.mktemp("contents")


@pytest.fixture(scope="package")
def app(folder: Path) -> Iterator[RunningApp]:
    write_content(folder / "hub", MUSIC, "hub")
    config = harness.config("demo.yaml")
    harness.args(config)["registry"] = {
        "roots": [str(folder), str(DEMO)],
        "tenant_sources": [f"{folder}/{{tenant}}"],
        "grace_s": 1,
        "drain_s": 2,
        "canary": True,
    }
    control = harness.deployment(config, "control")
    owner = {"id": "owner", "keys": [OWNER], "manages_adapters": True}
    control["user_config"]["tenants"].append(owner)
    with running_hub(folder / "hub", SLOW_S / 2) as hub:
        control["ray_actor_options"]["runtime_env"] = {"env_vars": {"HF_ENDPOINT": hub}}
        with harness.running(config) as app:
            yield app
