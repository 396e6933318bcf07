"""One replica of a config, started for as long as it is measured."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from serve_app.cli.config_file import ConfigFile
from serve_app.cli.environment import any_free
from serve_app.cli.served import served


@contextmanager
def measured(config: ConfigFile, url: str | None) -> Iterator[str]:
    """The application's URL, while it runs.

    Args:
        url: of one that runs already; nothing is started then.

    Raises:
        NotStarted: it does not start.
    """
    if url is not None:
        yield url.rstrip("/")
        return
    with tempfile.TemporaryDirectory(prefix="serve-app-calibrate-") as folder:
        port, file = any_free(), Path(folder) / "config.yaml"
        file.write_text(yaml.safe_dump(one_replica(config.content, port, folder)))
        here = f"http://127.0.0.1:{port}"
        with served(here, [str(file)]):
            yield here


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
