from pathlib import Path
from typing import Any

import pytest

from serve_app.bench.derive import (
    bare_arguments,
    engine_environment,
    one_replica,
    targets,
)
from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import EngineSettings

CONTENT: dict[str, Any] = {
    "http_options": {"host": "0.0.0.0", "port": 8000},
    "applications": [
        {
            "import_path": "serve_app.app:build",
            "args": {"engine": {"model": "tiny"}},
            "deployments": [
                {
                    "name": "engine",
                    "autoscaling_config": {"max_replicas": 8},
                    "ray_actor_options": {"runtime_env": {"env_vars": {"OMP_NUM_THREADS": 1}}},
                },
                {"name": "gateway", "num_replicas": 3},
            ],
        }
    ],
}
DIRECTORY = Directory.model_validate(
    {
        "tenants": [
            {"id": "admin", "keys": ["k0"], "adapters": ["*"]},
            {"id": "one", "keys": ["k1"], "default_adapter": "a"},
            {"id": "two", "keys": ["k2"], "default_adapter": "b"},
        ],
        "adapters": [{"name": "a", "path": "here/a"}, {"name": "b", "path": "/there/b"}],
    }
)


def test_the_derived_config_has_one_replica_of_everything_on_loopback() -> None:
    derived = one_replica(CONTENT, 1234)
    assert derived["http_options"] == {"host": "127.0.0.1", "port": 1234}
    deployments = derived["applications"][0]["deployments"]
    assert [one["num_replicas"] for one in deployments] == [1, 1]
    assert not any("autoscaling_config" in one for one in deployments)


def test_deriving_leaves_the_config_as_it_was() -> None:
    before = repr(CONTENT)
    one_replica(CONTENT, 1234)
    assert repr(CONTENT) == before


def test_the_bare_server_gets_the_environment_of_the_engine() -> None:
    assert engine_environment(CONTENT) == {"OMP_NUM_THREADS": "1"}
    assert engine_environment({"applications": [{}]}) == {}


def test_the_bare_server_gets_the_arguments_of_the_engine_and_its_own_scheduler() -> None:
    settings = EngineSettings(model="tiny", max_loras=2, vllm={"seed": 7})
    arguments = bare_arguments(settings, targets(DIRECTORY, 2), 99)
    ours = settings.model_copy(update={"slot_turn_s": 0.0}).as_vllm_arguments()
    assert arguments[: len(ours)] == ours
    assert arguments[len(ours) :] == [
        *("--host", "127.0.0.1", "--port", "99"),
        *("--lora-modules", f"a={Path('here/a').absolute()}", "b=/there/b"),
    ]


def test_adapters_asked_for_are_those_of_tenants_with_one_of_their_own() -> None:
    assert [(one.key, one.adapter) for one in targets(DIRECTORY, 8)] == [("k1", "a"), ("k2", "b")]


def test_no_more_adapters_are_asked_for_than_fit_into_a_batch() -> None:
    assert [one.adapter for one in targets(DIRECTORY, 1)] == ["a"]


def test_a_config_without_an_adapter_to_ask_for_is_refused() -> None:
    directory = Directory.model_validate({"tenants": [{"id": "one", "keys": ["k"]}]})
    with pytest.raises(ConfigError, match="nothing to ask for"):
        targets(directory, 2)
