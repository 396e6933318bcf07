"""What stands in the way of a start, and that it is said."""

import os
import socket
from pathlib import Path

import pytest

from serve_app.cli import check
from serve_app.cli.config_file import Ours
from serve_app.cli.processes import MARK, Seen
from serve_app.directory import Directory
from serve_app.settings import AppSettings
from tests.small_models import write_adapter, write_base


def test_processes_of_an_earlier_run_are_named_with_the_way_to_end_them() -> None:
    seen = [
        Seen(1, "ray::IDLE", {MARK: "abc"}),
        Seen(2, "haproxy", {MARK: "abc"}),
        Seen(3, "sh", {}),
    ]
    (finding,) = check.earlier_runs(seen)
    assert finding.fatal
    assert "2 processes of run abc" in finding.message
    assert "serve-app down" in finding.message


def test_a_cluster_of_someone_else_is_found_and_ours_is_not_taken_for_one() -> None:
    title = "/x/ray/core/src/ray/raylet/raylet --raylet_socket_name=/y"
    assert check.ray_clusters([Seen(7, title, {MARK: "abc"})]) == []
    (finding,) = check.ray_clusters([Seen(7, title, {})])
    assert "7" in finding.message


@pytest.mark.parametrize(("available", "findings"), [(1 << 30, 1), (4 << 30, 0)])
def test_little_memory_is_a_warning(available: int, findings: int) -> None:
    found = check.memory(available)
    assert len(found) == findings
    assert not any(one.fatal for one in found)


def test_a_port_in_use_is_said_with_its_holder() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
        (finding,) = check.port("127.0.0.1", number)
    assert f"port {number} " in finding.message
    assert str(os.getpid()) in finding.message


def test_a_free_port_is_fine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    assert check.port("127.0.0.1", number) == []


def test_directories_that_are_missing_are_named(tmp_path: Path) -> None:
    ours = Ours(
        AppSettings.model_validate({"engine": {"model": str(tmp_path / "base")}}),
        Directory.model_validate(
            {
                "tenants": [{"id": "acme", "keys": ["sk-1"]}],
                "adapters": [
                    {"name": "here", "path": str(tmp_path)},
                    {"name": "gone", "path": str(tmp_path / "gone")},
                ],
            }
        ),
    )
    messages = [one.message for one in check.paths(ours)]
    assert len(messages) == 2
    assert messages[0].startswith("engine.model: no such directory")
    assert messages[1].startswith("adapter gone: no such directory")


def test_a_model_on_the_hub_is_not_looked_for_here() -> None:
    settings = AppSettings.model_validate({"engine": {"model": "meta-llama/Llama-3.1-8B-Instruct"}})
    directory = Directory.model_validate({"tenants": [{"id": "acme", "keys": ["sk-1"]}]})
    assert check.paths(Ours(settings, directory)) == []


def test_declared_adapters_that_would_be_refused_are_named_with_the_reason(tmp_path: Path) -> None:
    write_adapter(tmp_path / "good")
    write_adapter(tmp_path / "dora", use_dora=True)
    declared = {
        "tenants": [{"id": "acme", "keys": ["sk-1"]}],
        "adapters": [
            {"name": "good", "path": str(tmp_path / "good")},
            {"name": "dora", "path": str(tmp_path / "dora")},
            {"name": "far", "path": "s3://bucket/far"},
        ],
    }
    model = str(write_base(tmp_path / "base"))
    settings = AppSettings.model_validate({"engine": {"model": model}})
    (finding,) = check.adapters(Ours(settings, Directory.model_validate(declared)))
    assert finding.fatal
    assert "[adapter_dora_unsupported]" in finding.message
    assert str(tmp_path / "dora") in finding.message
