"""The command line: exit codes, what goes to which stream, and how fast it answers."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from serve_app import __version__
from serve_app.cli.down import account, name
from serve_app.cli.exits import CONFIG_REFUSED, MACHINE_UNFIT
from serve_app.cli.main import app
from serve_app.cli.processes import Seen

OTHER = """\
http_options: {host: 127.0.0.1, port: 8765}
applications:
  - {name: other, import_path: other.module:app}
"""

OURS = """\
applications:
  - name: serve_app
    import_path: serve_app.app:build
    args: {engine: {model: some/model, max_lora: 3}}
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return tmp_path / "config.yaml"


def test_help_names_every_command() -> None:
    shown = CliRunner().invoke(app, ["--help"])
    assert shown.exit_code == 0
    assert all(command in shown.stdout for command in ("up", "down", "check"))


def test_the_version_is_the_packages() -> None:
    assert CliRunner().invoke(app, ["--version"]).stdout.strip() == __version__


@pytest.mark.parametrize("command", ["up", "check"])
def test_a_missing_file_is_refused(command: str, config: Path) -> None:
    refused = CliRunner().invoke(app, [command, str(config)])
    assert refused.exit_code == CONFIG_REFUSED
    assert "no such file" in refused.stderr
    assert refused.stdout == ""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("applications: [", "not YAML"),
        ("a: 1", "must be a Ray Serve config file"),
        ("applications: []\nhttp_options: {port: 0}", "http_options.port"),
        ("applications: []\nhttp_options: 3", "http_options"),
        (OURS, "applications.0.args.engine.max_lora: unknown key"),
    ],
)
def test_a_bad_config_is_refused_by_the_key(content: str, said: str, config: Path) -> None:
    config.write_text(content)
    refused = CliRunner().invoke(app, ["check", str(config)])
    assert refused.exit_code == CONFIG_REFUSED
    assert said in refused.stderr


def test_a_machine_that_is_not_fit_has_its_own_exit_code(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config.write_text(OTHER)
    monkeypatch.setattr("serve_app.cli.check.port", lambda host, number: [_finding(host, number)])
    refused = CliRunner().invoke(app, ["check", str(config), "--port", "8766"])
    assert refused.exit_code == MACHINE_UNFIT
    assert "127.0.0.1 8766" in refused.stderr


def _finding(host: str, number: int) -> object:
    from serve_app.cli.check import Finding

    return Finding(f"{host} {number}")


def test_asking_for_help_imports_neither_ray_nor_vllm() -> None:
    code = (
        "import sys, serve_app.cli.main; print(sorted({'ray', 'vllm', 'torch'} & set(sys.modules)))"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("title", "short"),
    [
        ("ray::ServeReplica:tiny:Tiny", "ray::ServeReplica:tiny:Tiny"),
        ("ray::ServeController.listen_for_change", "ray::ServeController"),
        ("/a/bin/haproxy -db -f /b", "haproxy"),
        ("/a/bin/python /a/bin/serve run --address local", "serve"),
        ("/a/bin/python -u /a/ray/log_monitor.py --x", "log_monitor.py"),
        ("/a/bin/python -B -c from x import main", "python"),
        ("VLLM::EngineCore", "VLLM::EngineCore"),
    ],
)
def test_processes_are_named_briefly(title: str, short: str) -> None:
    assert name(title) == short


def test_what_was_ended_is_counted_by_name() -> None:
    ended = [Seen(pid, "/a/bin/haproxy -db", {}) for pid in (1, 2)]
    assert account(ended) == "ended 2 processes: 2 haproxy"
    assert account([]) == "nothing of serve-app runs here"
