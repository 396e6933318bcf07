"""What an operator sees of a running fleet, and of why a request went where it did."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.demo.lexicon import QUESTIONS
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e

ACME, ADMIN = "sk-acme-12345", "sk-admin-demo"
ADAPTER = "acme-finance-lora"


def page(app: RunningApp, **query: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    answer = httpx.get(f"{app.url}/admin/v1/fleet", headers=headers, params=query)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


def placements(app: RunningApp) -> list[dict[str, Any]]:
    return [one for state in page(app, adapter=ADAPTER)["adapters"] for one in state["placements"]]


def command(app: RunningApp, key: str, *options: str) -> subprocess.CompletedProcess[str]:
    script = str(Path(sys.executable).with_name("serve-app"))
    return subprocess.run(
        [script, "fleet", "--url", app.url, *options],
        check=False,
        env={"SERVE_APP_API_KEY": key},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_request_is_on_the_page_with_why_it_went_there_and_what_it_waited(
    app: RunningApp,
) -> None:
    response = app.client(ACME).chat.completions.with_raw_response.create(
        model="base",
        messages=[{"role": "user", "content": QUESTIONS[ADAPTER][0]}],
        max_tokens=20,
        stream=True,
    )
    list(response.parse())
    said = response.headers
    eventually(lambda: said["x-request-id"] in str(placements(app)), 5, "the request on the page")
    one = next(one for one in placements(app) if one["request_id"] == said["x-request-id"])
    assert (one["replica"], one["reason"]) == (said["x-serve-replica"], said["x-serve-placement"])
    assert (one["outcome"], one["streamed"]) == ("ok", True)
    assert 0 < one["first_byte_s"] <= one["duration_s"]
    parts = ("load_s", "slot_s", "queue_s")
    assert one["expected"]["wait_s"] == pytest.approx(
        sum(one["expected"][part] for part in parts), abs=1e-3
    )


def test_the_page_says_where_an_adapter_is_and_what_things_take_there(app: RunningApp) -> None:
    app.client(ACME).completions.create(model="base", prompt="x", max_tokens=5)

    def held() -> bool:
        states = page(app, adapter=ADAPTER)["adapters"]
        return bool(states and states[0]["holders"])

    eventually(held, 5, "a holder")
    fleet = page(app)
    holders = next(a for a in fleet["adapters"] if a["adapter"].startswith(ADAPTER))["holders"]
    (replica,) = [one for one in fleet["replicas"] if one["replica"] == holders[0]]
    assert any(name.startswith(ADAPTER) for name in replica["adapters"])
    assert replica["load_s"] > 0
    assert replica["costs"]["disk_s"] > 0
    assert replica["slots_used"] <= replica["max_loras"]


def test_the_command_shows_the_fleet_to_an_admin_alone(app: RunningApp) -> None:
    shown = command(app, ADMIN)
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "replicas answer" in shown.stdout
    assert ADAPTER in shown.stdout
    assert command(app, ADMIN, "--output", "json").stdout.count("\n") == 1
    refused = {key: command(app, key) for key in (ACME, "sk-wrong")}
    assert [one.returncode for one in refused.values()] == [5, 5]
    assert "not an admin's" in refused[ACME].stderr
