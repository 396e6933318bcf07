"""The environment a run starts in: the fast data path, private folders, free ports, the mark.

Serve reads all of it when its processes start, so it must be set before Ray starts.
"""

import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from serve_app.cli.processes import MARK

FOLDERS = Path("/tmp")  # noqa: S108 - a run's folder is new, and only its user's
"""Not a long TMPDIR: HAProxy takes paths of 97 bytes for its sockets, and Serve puts 70 of its own
below a run's folder."""

FOLDER_PREFIX = "serve-app-"
MIB = 1 << 20
LONGEST_STREAM_S = 900
"""After a reload, HAProxy's old process is ended this late: longer than a request may last."""


@dataclass(frozen=True)
class Ports:
    """Ports that Serve's HAProxy takes beside the one it serves on."""

    metrics: int = 9101
    stats: int = 8404
    fallback: int = 8500


@dataclass(frozen=True)
class Machine:
    """What HAProxy may use."""

    processors: int
    open_files: int


def marked(base: Mapping[str, str], run: str) -> dict[str, str]:
    """``base`` as every run needs it.

    ``SPT_NOENV`` keeps processes that set their own title (Ray's and vLLM's do) from writing it
    over their environment, which would hide the mark. What the user has set stays.
    """
    return {
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray makes its workers nice to others; here they are what the machine is for.
        "RAY_worker_niceness": "0",
        **base,
        "SPT_NOENV": "1",
        MARK: run,
    }


def fast_path(
    base: Mapping[str, str], folder: Path, haproxy: Path, ports: Ports, machine: Machine
) -> dict[str, str]:
    """``base`` with HAProxy in front and gRPC between gateways and replicas.

    Args:
        folder: private to the run; the path must be short, for sockets are made below it.
        haproxy: the ``serve-app-haproxy`` script.
    """
    return {
        "RAY_SERVE_REPLICA_GRPC_MAX_MESSAGE_LENGTH": str(64 * MIB),
        "RAY_SERVE_HAPROXY_MAXCONN": str(connections(machine.open_files)),
        "RAY_SERVE_HAPROXY_NBTHREAD": str(max(1, min(4, machine.processors // 2))),
        "RAY_SERVE_HAPROXY_HARD_STOP_AFTER_S": str(LONGEST_STREAM_S),
        "RAY_SERVE_HAPROXY_CLOSE_SPREAD_TIME_S": "5",
        # One machine: HAProxy knows within a second that a gateway leaves. Serve's 30 s are meant
        # for load balancers further out, and would delay every stop.
        "RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S": "3",
        # Access logs are written as requests end, not a thousand at a time.
        "RAY_SERVE_REQUEST_PATH_LOG_BUFFER_SIZE": "1",
        # A dead HAProxy is found by the third check in a row that fails.
        "RAY_SERVE_PROXY_HEALTH_CHECK_PERIOD_S": "1",
        **base,
        "RAY_SERVE_ENABLE_HA_PROXY": "1",
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_SERVE_HAPROXY_BINARY_PATH": str(haproxy),
        "RAY_SERVE_HAPROXY_CONFIG_FILE_LOC": str(folder / "haproxy.cfg"),
        "RAY_SERVE_HAPROXY_SOCKET_PATH": str(folder / "admin.sock"),
        "RAY_SERVE_HAPROXY_METRICS_SOCKET_PATH": str(folder / "metrics.sock"),
        "RAY_SERVE_HAPROXY_SERVER_STATE_BASE": str(folder),
        "RAY_SERVE_HAPROXY_SERVER_STATE_FILE": str(folder / "server-state"),
        "RAY_SERVE_HAPROXY_METRICS_PORT": str(ports.metrics),
        "RAY_SERVE_HAPROXY_STATS_PORT": str(ports.stats),
        "RAY_SERVE_FALLBACK_PROXY_HTTP_PORT": str(ports.fallback),
    }


def connections(open_files: int) -> int:
    """How many clients HAProxy may hold: two files each, and a quarter as many pipes to splice.

    It does not start if the limit of open files does not cover what it is told.
    """
    return max(64, min(16_384, (open_files - 512) // 3))


def without_fast_path(base: Mapping[str, str]) -> dict[str, str]:
    """``base`` with Serve's own proxy in front, whatever was set."""
    return {**base, "RAY_SERVE_ENABLE_HA_PROXY": "0", "RAY_SERVE_THROUGHPUT_OPTIMIZED": "0"}


def free_ports(is_free: Callable[[int], bool], any_free: Callable[[], int]) -> Ports:
    """The usual ports where they are free, others where they are not."""
    usual = Ports()
    wanted = (usual.metrics, usual.stats, usual.fallback)
    return Ports(*(port if is_free(port) else any_free() for port in wanted))


def is_free(port: int, host: str = "") -> bool:
    """Whether a server could listen there now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError:
            return False
    return True


def any_free() -> int:
    """A port that is free now."""
    with socket.socket() as listener:
        listener.bind(("", 0))
        return int(listener.getsockname()[1])
