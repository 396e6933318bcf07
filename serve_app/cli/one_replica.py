"""One replica of a config, started for as long as it is measured."""

import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import yaml

from serve_app.cli.config_file import ConfigFile
from serve_app.cli.environment import any_free
from serve_app.cli.replica_client import CannotMeasure
from serve_app.cli.up import script

START_WITHIN_S, STOP_WITHIN_S = 900.0, 60.0


@contextmanager
def served(config: ConfigFile, url: str | None) -> Iterator[str]:
    """The application's URL, while it runs; it is ended even if this process is told to end.

    Args:
        url: of one that runs already; nothing is started then.

    Raises:
        CannotMeasure: it does not start.
    """
    if url is not None:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory(prefix="serve-app-calibrate-") as folder:
        port, file = any_free(), Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(one_replica(config.content, port, folder)))
        command = [str(script("serve-app")), "up", str(file)]
        before = signal.signal(signal.SIGTERM, signal.default_int_handler)
        launcher = subprocess.Popen(command, start_new_session=True)  # noqa: S603 - our own script
        try:
            _await_ready(f"http://127.0.0.1:{port}", launcher)
            yield f"http://127.0.0.1:{port}"
        finally:
            launcher.send_signal(signal.SIGINT)
            launcher.wait(STOP_WITHIN_S)
            signal.signal(signal.SIGTERM, before)


def one_replica(content: Any, port: int, folder: str) -> dict[str, Any]:
    """The config with one engine and one gateway, a registry in ``folder``, and nothing loaded
    before it is asked for."""
    derived: dict[str, Any] = deepcopy(dict(content))
    derived["http_options"] = {"host": "127.0.0.1", "port": port}
    application = derived["applications"][0]
    registry = application["args"].setdefault("registry", {})
    registry.pop("database_url", None)
    registry["data_dir"] = str(Path(folder) / "data")
    for deployment in application.get("deployments") or []:
        if deployment.get("name") != "control":
            deployment.pop("autoscaling_config", None)
            deployment["num_replicas"] = 1
        for adapter in (deployment.get("user_config") or {}).get("adapters") or []:
            adapter.pop("preload", None)
            adapter.pop("pin", None)
    return derived


def _await_ready(url: str, launcher: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while launcher.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/ready", timeout=5).status_code == 200:
                return
        except httpx.TransportError:
            pass  # not listening yet
        time.sleep(0.5)
    raise CannotMeasure("the application did not start; what it said is above")
