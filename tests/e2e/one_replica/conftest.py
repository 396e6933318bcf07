"""The demo with one engine that has a single slot, and a registry that outlives it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import harness
from tests.harness import RunningApp


@pytest.fixture(scope="package")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where local sources may lie, and the registry does."""
    return tmp_path_factory.mktemp("one-replica")


@pytest.fixture(scope="package")
def config(folder: Path) -> dict[str, Any]:
    config = harness.config("demo.yaml")
    harness.args(config)["engine"]["max_loras"] = 1
    harness.args(config)["gateway"] = {"max_wait_s": 60}  # the wait for a slot is what is tested
    harness.args(config)["registry"] = {"data_dir": str(folder / "data"), "roots": [str(folder)]}
    harness.deployment(config, "engine")["num_replicas"] = 1
    return config


@pytest.fixture(scope="package")
def app(config: dict[str, Any]) -> Iterator[RunningApp]:
    """``test_survival.py``, which comes last here, ends it."""
    with harness.running(config) as app:
        yield app
