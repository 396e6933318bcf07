"""What is there after a restart, and while control is dead. Real Ray Serve, real vLLM."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.demo.lexicon import ADAPTERS, QUESTIONS, who_answered
from tests import harness
from tests.e2e.contents import write_content
from tests.harness import RunningApp, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ADMIN = "sk-admin-demo"
HEADERS = {"Authorization": f"Bearer {ADMIN}"}
CHEF, MUSIC = "cooking-chef-lora", "music-theory-lora"


def register(app: RunningApp, name: str, path: str) -> httpx.Response:
    return app.post("/v1/lora/register", ADMIN, json={"lora_name": name, "lora_path": path})


def speaks(app: RunningApp, model: str) -> frozenset[str]:
    answer = app.client(ADMIN).chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTIONS[CHEF][0]}], max_tokens=24
    )
    return who_answered(answer.choices[0].message.content or "")


def records(app: RunningApp) -> dict[str, dict[str, Any]]:
    listed = httpx.get(f"{app.url}/v1/lora", headers=HEADERS, timeout=30).json()["data"]
    return {one["id"]: one for one in listed}


class Traffic:
    """Requests one after another in the background, and what failed of them."""

    def __init__(self, app: RunningApp, models: list[str]) -> None:
        self._app = app
        self._models = models
        self._stop = threading.Event()
        self.failed: list[str] = []
        self.answered = 0

    def __enter__(self) -> "Traffic":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            model = self._models[self.answered % len(self._models)]
            try:
                words = speaks(self._app, model)
            except Exception as error:
                self.failed.append(f"{model}: {error}")
                continue
            self.answered += 1
            if len(words) != 1:
                self.failed.append(f"{model} spoke as {words}")


@pytest.fixture(scope="module")
def before(app: RunningApp, folder: Path) -> dict[str, dict[str, Any]]:
    """What was registered in an application that has ended since: two versions, an alias."""
    for number, voice in enumerate((CHEF, MUSIC)):
        path = write_content(folder / f"kept-{number}", voice, f"kept-{number}")
        assert register(app, "kept", path).status_code == 200
    alias = httpx.put(
        f"{app.url}/v1/lora/kept/aliases/kept-old", headers=HEADERS, json={"version": 1}
    )
    assert alias.status_code == 200
    registered = records(app)
    harness.stop(app)
    return registered


@pytest.fixture(scope="module")
def again(config: dict[str, Any], before: dict[str, dict[str, Any]]) -> Iterator[RunningApp]:
    """The application started again."""
    assert before
    with harness.running(config) as again:
        yield again


def test_everything_registered_is_there_after_a_restart(
    again: RunningApp, before: dict[str, dict[str, Any]]
) -> None:
    after = records(again)
    assert after.keys() == before.keys() >= {"kept", *ADAPTERS}
    for name, record in before.items():
        same = ("version", "digest", "path", "state", "aliases", "created")
        assert {key: after[name][key] for key in same} == {key: record[key] for key in same}
    assert speaks(again, "kept") == {MUSIC}
    assert speaks(again, "kept-old") == {CHEF}


def test_traffic_goes_on_while_control_is_dead_and_nothing_acknowledged_is_lost(
    again: RunningApp, folder: Path
) -> None:
    path = write_content(folder / "just-in-time", CHEF, "just-in-time")
    assert register(again, "just-in-time", path).status_code == 200
    (control,) = again.processes("serve_app:control")
    with Traffic(again, [*ADAPTERS, "just-in-time"]) as traffic:
        eventually(lambda: traffic.answered >= 3, 30, "traffic flows")
        os.kill(control.pid, signal.SIGKILL)
        killed_at = time.monotonic()
        eventually(lambda: registered_again(again, folder), 90, "control is back")
        print(f"control was away for {time.monotonic() - killed_at:.1f} s")
        answered = traffic.answered
        eventually(lambda: traffic.answered > answered + 3, 30, "traffic flows")
    assert traffic.failed == []
    assert {"kept", "just-in-time", "after"} <= records(again).keys()
    assert speaks(again, "after") == {MUSIC}


def registered_again(app: RunningApp, folder: Path) -> bool:
    path = write_content(folder / "after", MUSIC, "after")
    response = register(app, "after", path)
    assert response.status_code in (200, 503), response.text
    return response.status_code == 200
