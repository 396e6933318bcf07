"""The environment a run starts in."""

from pathlib import Path

import pytest

from serve_app.cli import environment
from serve_app.cli.environment import Machine, Ports
from serve_app.cli.processes import MARK

NODE_ID_AND_SOCKET = 70
"""What Serve puts below the folder: ``/<56 characters>/metrics.sock``."""

HAPROXY_PATH_LIMIT = 97


def fast(base: dict[str, str], machine: Machine = Machine(8, 65_536)) -> dict[str, str]:  # noqa: B008
    return environment.fast_path(base, Path("/tmp/run"), Path("/bin/ours"), Ports(), machine)


def test_the_fast_path_has_haproxy_in_front_and_our_script_start_it() -> None:
    made = fast({})
    assert made["RAY_SERVE_ENABLE_HA_PROXY"] == "1"
    assert made["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "1"
    assert made["RAY_SERVE_HAPROXY_BINARY_PATH"] == "/bin/ours"


def test_haproxy_keeps_its_files_in_the_folder_of_the_run() -> None:
    paths = [value for value in fast({}).values() if value.startswith("/tmp")]
    assert len(paths) == 5
    assert all(path.startswith("/tmp/run") for path in paths)


def test_what_the_user_has_tuned_stays() -> None:
    assert fast({"RAY_SERVE_HAPROXY_NBTHREAD": "7"})["RAY_SERVE_HAPROXY_NBTHREAD"] == "7"
    assert environment.marked({"RAY_AUTH_MODE": "disabled"}, "r")["RAY_AUTH_MODE"] == "disabled"


def test_without_the_fast_path_it_is_off_whatever_was_set() -> None:
    made = environment.without_fast_path(fast({}))
    assert made["RAY_SERVE_ENABLE_HA_PROXY"] == "0"
    assert made["RAY_SERVE_THROUGHPUT_OPTIMIZED"] == "0"


def test_a_run_is_marked_and_protected_by_a_token() -> None:
    made = environment.marked({MARK: "outer"}, "inner")
    assert made[MARK] == "inner"
    assert made["RAY_AUTH_MODE"] == "token"


@pytest.mark.parametrize("open_files", [1024, 4096, 20_000, 65_536, 1_048_576])
def test_haproxy_is_never_told_more_than_the_limit_of_open_files_covers(open_files: int) -> None:
    clients = environment.connections(open_files)
    assert 64 <= clients <= 16_384
    assert 2.5 * clients + 100 < open_files


@pytest.mark.parametrize(("processors", "threads"), [(1, "1"), (2, "1"), (4, "2"), (64, "4")])
def test_haproxy_leaves_processors_to_the_others(processors: int, threads: str) -> None:
    made = fast({}, Machine(processors, 65_536))
    assert made["RAY_SERVE_HAPROXY_NBTHREAD"] == threads


def test_streams_outlive_a_reload_of_haproxy() -> None:
    assert int(fast({})["RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S"]) > 600


def test_a_port_that_is_taken_is_replaced() -> None:
    ports = environment.free_ports(is_free=lambda port: port != 8404, any_free=lambda: 5)
    assert ports == Ports(metrics=9101, stats=5, fallback=8500)


def test_haproxy_accepts_the_length_of_its_socket_paths() -> None:
    run = f"{environment.FOLDERS}/{environment.FOLDER_PREFIX}{'0' * 10}"
    assert len(run) + NODE_ID_AND_SOCKET <= HAPROXY_PATH_LIMIT
