"""``serve-app up`` on a real Ray Serve: whatever ends it, none of its processes is left.

That a Ctrl-C leaves nothing is seen where an application with tenants is stopped: ``harness.stop``.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from serve_app.cli import environment, processes
from serve_app.cli.exits import FAILED, STOPPED
from serve_app.cli.processes import Seen
from tests.harness import HAPROXY

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(120)]

CONFIG = """\
proxy_location: HeadOnly
http_options: {{host: 127.0.0.1, port: {port}}}
applications:
  - {{name: tiny, route_prefix: /, import_path: "tests.cluster.tiny_app:app"}}
"""
START_WITHIN_S = 60
GONE_WITHIN_S = 15
ENGINE, CONTROLLER = "STUB::EngineCore", "ray::ServeController"


@dataclass(frozen=True)
class Launched:
    """A launcher at work."""

    launcher: subprocess.Popen[bytes]
    url: str
    run: str

    def processes(self) -> list[Seen]:
        return processes.members(processes.look(), self.run)

    def titled(self, part: str) -> list[int]:
        return [one.pid for one in self.processes() if part in one.title]

    def is_ready(self) -> bool:
        try:
            return httpx.get(f"{self.url}/ready", timeout=1, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def ends(self) -> int:
        """The launcher's exit code, once it and all it has started are gone in time."""
        folder = environment.FOLDERS / f"{environment.FOLDER_PREFIX}{self.run}"
        eventually(lambda: not self.processes(), GONE_WITHIN_S)
        eventually(lambda: not folder.exists(), GONE_WITHIN_S)
        return self.launcher.wait(GONE_WITHIN_S)


@pytest.fixture
def launched(tmp_path: Path) -> Iterator[Launched]:
    port = environment.any_free()
    config = tmp_path / "tiny.yaml"
    config.write_text(CONFIG.format(port=port))
    command = Path(sys.executable).with_name("serve-app")
    # --force: a Ray cluster that a developer has running is no matter here.
    launcher = subprocess.Popen([command, "up", "--force", config])
    try:
        eventually(lambda: bool(_runs(launcher)), START_WITHIN_S)
        (run,) = _runs(launcher)
        yield Launched(launcher, f"http://127.0.0.1:{port}", run)
    finally:
        launcher.terminate()
        launcher.wait(30)


def _runs(launcher: subprocess.Popen[bytes]) -> set[str]:
    children = {child.pid for child in psutil.Process(launcher.pid).children()}
    return {one.run for one in processes.look() if one.pid in children and one.run}


def eventually(holds: Callable[[], bool], within_s: float) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s"
        time.sleep(0.4)


def test_haproxy_dies_with_its_actor_the_next_takes_its_port_and_sigkill_leaves_nothing(
    launched: Launched,
) -> None:
    eventually(launched.is_ready, START_WITHIN_S)
    before = launched.titled(HAPROXY)
    assert launched.titled(ENGINE)
    (actor,) = launched.titled("HAProxyManager")
    os.kill(actor, signal.SIGKILL)
    eventually(lambda: not set(before) & set(launched.titled(HAPROXY)), 2)
    eventually(lambda: bool(launched.titled(HAPROXY)) and launched.is_ready(), 20)

    steering = {"x-request-id": "not a good id", "x-request-timeout-seconds": "9"}
    answer = httpx.get(launched.url, headers=steering, trust_env=False)
    assert "x-request-timeout-seconds" not in answer.json()["headers"]
    assert answer.headers["x-request-id"] == answer.json()["headers"]["x-request-id"]
    assert answer.headers["x-request-id"] != steering["x-request-id"]

    launched.launcher.kill()
    assert launched.ends() == -signal.SIGKILL


def test_sigterm_while_it_starts_leaves_nothing(launched: Launched) -> None:
    eventually(lambda: bool(launched.titled(HAPROXY)), START_WITHIN_S)
    launched.launcher.terminate()
    assert launched.ends() == STOPPED


def test_when_ray_dies_the_launcher_ends_with_all_the_rest(launched: Launched) -> None:
    eventually(lambda: bool(launched.titled(CONTROLLER)), START_WITHIN_S)
    (raylet,) = launched.titled("raylet/raylet")
    os.kill(raylet, signal.SIGKILL)
    assert launched.ends() == FAILED
