"""The README's snippets, run as they are printed but for the port."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from serve_app.demo.lexicon import who_answered
from tests.harness import REPOSITORY, RunningApp

pytestmark = pytest.mark.e2e

_SNIPPET = re.compile(r"<!-- test: (?P<name>\w+) -->\n```\w+\n(?P<code>.*?)```", re.DOTALL)


def snippet(name: str, app: RunningApp) -> str:
    readme = (REPOSITORY / "README.md").read_text()
    (code,) = [m["code"] for m in _SNIPPET.finditer(readme) if m["name"] == name]
    assert "http://127.0.0.1:8000" in code
    return code.replace("http://127.0.0.1:8000", app.url)


def run(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_curl_example_answers_with_the_tenants_adapter(app: RunningApp) -> None:
    answer = json.loads(run("bash", "-c", snippet("curl", app)))
    assert who_answered(answer["choices"][0]["message"]["content"]) == {"acme-finance-lora"}
    assert answer["metadata"]["tenant"] == "tenant_acme_corp"


def test_the_openai_example_prints_the_adapters_answer(app: RunningApp) -> None:
    text = run(sys.executable, "-c", snippet("python", app))
    assert who_answered(text) == {"legal-contract-lora"}


def test_the_sdk_example_prints_answers_and_how_they_came(app: RunningApp) -> None:
    text = run(sys.executable, "-c", snippet("sdk", app))
    assert {"legal-contract-lora", "cooking-chef-lora"} <= who_answered(text)


def test_the_registration_example_makes_an_adapter_its_tenant_can_use(app: RunningApp) -> None:
    record = json.loads(run("bash", "-c", snippet("register", app)))
    assert (record["id"], record["version"], record["state"]) == ("house-chef", 1, "live")
    answer = app.client("sk-acme-12345").chat.completions.create(
        model="house-chef", messages=[{"role": "user", "content": "x"}], max_tokens=20
    )
    assert who_answered(answer.choices[0].message.content or "") == {"cooking-chef-lora"}
    removed = httpx.delete(
        f"{app.url}/v1/lora/house-chef", headers={"Authorization": "Bearer sk-admin-demo"}
    )
    assert removed.status_code == 200


def test_the_experiment_example_asks_judges_ramps_and_tells(app: RunningApp) -> None:
    bin_ = Path(sys.executable).parent
    printed = run("bash", "-c", f"set -e\nPATH={bin_}:$PATH\n{snippet('experiment', app)}")
    assert "Too early" in printed
    admin = {"Authorization": "Bearer sk-admin-demo"}
    results = httpx.get(f"{app.url}/v1/experiments/dinner/results", headers=admin).json()
    assert sum(arm["figures"]["score"]["count"] for arm in results["arms"]) == 1
    assert [round(arm["share"], 6) for arm in results["arms"]] == [0.8, 0.2]
    removed = httpx.delete(f"{app.url}/v1/experiments/dinner", headers=admin)
    assert removed.status_code == 200


def test_the_tenant_example_makes_a_customer_who_is_answered(app: RunningApp) -> None:
    bin_ = Path(sys.executable).parent
    printed = run("bash", "-c", f"PATH={bin_}:$PATH\n{snippet('tenant', app)}")
    answer = json.loads(printed[printed.index('{"') :])
    assert who_answered(answer["choices"][0]["text"]) == {"cooking-chef-lora"}
    admin = {"Authorization": "Bearer sk-admin-demo"}
    removed = httpx.delete(f"{app.url}/admin/v1/tenants/newco", headers=admin)
    assert removed.status_code == 200
