"""A Serve config file as the launcher sees it: where it will listen, and whether it is ours."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.configuration import load, read_yaml
from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import AppSettings

OUR_APPLICATION = "serve_app.app"
SERVE_HOST, SERVE_PORT = "127.0.0.1", 8000


@dataclass(frozen=True)
class Ours:
    """The settings of this application in a config file."""

    settings: AppSettings
    directory: Directory


@dataclass(frozen=True)
class ConfigFile:
    """What a launcher must know of a config file.

    Attributes:
        ours: the settings, if the file deploys this application and not another.
    """

    path: Path
    content: Mapping[str, Any]
    host: str
    port: int
    ours: Ours | None

    @property
    def url(self) -> str:
        """Where a client on this machine finds it."""
        host = "127.0.0.1" if self.host in ("0.0.0.0", "::", "") else self.host  # noqa: S104 - compared
        return f"http://{host}:{self.port}"


def read(path: Path, port: int | None = None) -> ConfigFile:
    """Read and check a Serve config file; ``port`` takes the place of the file's own.

    Raises:
        ConfigError: it cannot be read, or holds keys or values that are not allowed.
    """
    content = _content(path)
    http = content.get("http_options") or {}
    if not isinstance(http, dict):
        raise ConfigError(f"{path}: http_options: must be a mapping")
    if port is not None:
        http = {**http, "port": port}
        content = {**content, "http_options": http}
    return ConfigFile(
        path=path,
        content=content,
        host=str(http.get("host") or SERVE_HOST),
        port=_port(path, http.get("port", SERVE_PORT)),
        ours=Ours(*load(path)) if _is_ours(content) else None,
    )


def _content(path: Path) -> dict[str, Any]:
    content = read_yaml(path)
    if not isinstance(content.get("applications"), list):
        raise ConfigError(f"{path}: no `applications`; this must be a Ray Serve config file")
    return content


def _port(path: Path, port: object) -> int:
    if not isinstance(port, int) or not 0 < port < 65_536:
        raise ConfigError(f"{path}: http_options.port: must be 1 to 65535, not {port!r}")
    return port


def _is_ours(content: Mapping[str, Any]) -> bool:
    applications = [one for one in content["applications"] if isinstance(one, dict)]
    return any(str(one.get("import_path")).startswith(OUR_APPLICATION) for one in applications)
