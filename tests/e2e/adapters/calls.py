"""What a person does with adapters, as calls to a running application."""

from typing import Any

import httpx

from serve_app.demo.lexicon import QUESTIONS, who_answered
from tests.harness import RunningApp

ADMIN, ACME, OWNER = "sk-admin-demo", "sk-acme-12345", "sk-owner-of-adapters"
CHEF, MUSIC, TRAVEL = "cooking-chef-lora", "music-theory-lora", "travel-concierge-lora"
IGNORE_EOS = {"ignore_eos": True}
SLOW_S = 3.0
"""How long the hub takes for an adapter's two files."""


def call(app: RunningApp, method: str, path: str, key: str = ADMIN, **body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}"}
    request: dict[str, Any] = {"json": body} if body else {}
    return httpx.request(method, f"{app.url}{path}", headers=headers, timeout=120, **request)


def register(app: RunningApp, name: str, path: str, key: str = ADMIN, **more: Any) -> Any:
    response = call(app, "POST", "/v1/lora/register", key, lora_name=name, lora_path=path, **more)
    assert response.status_code == 200, response.text
    return response.json()


def speaks(app: RunningApp, model: str, key: str = ADMIN) -> frozenset[str]:
    """Whose words a model's answer consists of."""
    answer = app.client(key).chat.completions.create(
        model=model, messages=[{"role": "user", "content": QUESTIONS[CHEF][0]}], max_tokens=24
    )
    return who_answered(answer.choices[0].message.content or "")


def stream(app: RunningApp, model: str, tokens: int) -> Any:
    """A stream of that many tokens, of which the first has come."""
    chunks = app.client(ADMIN).completions.create(
        model=model, prompt="x", max_tokens=tokens, stream=True, extra_body=IGNORE_EOS
    )
    next(iter(chunks))
    return chunks


def show(app: RunningApp, name: str) -> Any:
    return call(app, "GET", f"/v1/lora/{name}").json()


def engines(app: RunningApp) -> set[int]:
    """Processes of the engines; others after one has died."""
    return {process.pid for process in app.processes("VLLM::EngineCore")}
