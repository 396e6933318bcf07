"""How far a starting application is: asked from Serve through Ray's dashboard, and from itself."""

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from serve_app.cli.processes import look, members

_DASHBOARD = "ray/dashboard/dashboard.py"


@dataclass(frozen=True)
class Progress:
    """What Serve says of its deployments.

    Attributes:
        running: replicas that run, and how many there shall be, by deployment.
        failure: why Serve gave up, if it did.
    """

    running: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    failure: str | None = None

    def __str__(self) -> str:
        if not self.running:
            return "Ray is starting"
        return ", ".join(f"{name} {now}/{all_}" for name, (now, all_) in self.running.items())


def progress(details: Mapping[str, Any]) -> Progress:
    """Read the answer of Serve's ``GET /api/serve/applications/``."""
    applications = details.get("applications", {}).values()
    running = {
        name: (_running(deployment), deployment["target_num_replicas"])
        for application in applications
        for name, deployment in application["deployments"].items()
    }
    failures = [_failure(one) for one in applications if one["status"] == "DEPLOY_FAILED"]
    return Progress(running, "\n".join(failures) or None)


def _failure(application: Mapping[str, Any]) -> str:
    reasons = [one["message"] for one in application["deployments"].values()]
    return "\n".join(filter(None, [application["message"], *reasons]))


def _running(deployment: Mapping[str, Any]) -> int:
    return sum(replica["state"] == "RUNNING" for replica in deployment["replicas"])


class Watch:
    """Asks after one run. An answer that does not come is no progress, never an error."""

    def __init__(self, url: str, run: str) -> None:
        self._ready_url = f"{url}/ready"
        self._run = run
        self._http = httpx.Client(timeout=2, trust_env=False)
        self._dashboard: str | None = None

    def is_ready(self) -> bool:
        """Whether the application says that it can answer."""
        answer = self._get(self._ready_url)
        return answer is not None and answer.status_code == httpx.codes.OK

    def progress(self) -> Progress:
        """What Serve says of it."""
        self._dashboard = self._dashboard or _dashboard(self._run)
        if self._dashboard is None:
            return Progress()
        url = f"{self._dashboard}/api/serve/applications/"
        answer = self._get(url, {"Authorization": f"Bearer {token(os.environ)}"})
        if answer is None or answer.status_code != httpx.codes.OK:
            return Progress()
        return progress(answer.json())

    def _get(self, url: str, headers: Mapping[str, str] | None = None) -> httpx.Response | None:
        try:
            return self._http.get(url, headers=headers)
        except httpx.HTTPError:
            return None


def token(environment: Mapping[str, str], home: Path | None = None) -> str:
    """Ray's token, from where Ray takes it; empty if there is none."""
    if given := environment.get("RAY_AUTH_TOKEN"):
        return given
    default = (home or Path.home()) / ".ray" / "auth_token"
    path = Path(environment.get("RAY_AUTH_TOKEN_PATH") or default)
    return path.read_text().strip() if path.is_file() else ""


def _dashboard(run: str) -> str | None:
    for one in members(look(), run):
        if _DASHBOARD in one.title:
            return _loopback_url(_listening(one.pid))
    return None


def _loopback_url(addresses: Iterable[tuple[str, int]]) -> str | None:
    ports = [port for ip, port in addresses if ip == "127.0.0.1"]
    return f"http://127.0.0.1:{min(ports)}" if ports else None


def _listening(pid: int) -> list[tuple[str, int]]:
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return []
    return [(c.laddr.ip, c.laddr.port) for c in connections if c.status == psutil.CONN_LISTEN]
