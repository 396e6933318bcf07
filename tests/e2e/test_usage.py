"""Tenants made while it runs, what they use and what they may, on real Ray Serve and real vLLM."""

from typing import Any

import httpx
import openai
import pytest

from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e

ADMIN, ADAPTER = "sk-admin-demo", "acme-finance-lora"
LONG = "In the quarter that has passed the company moved a great deal of money. " * 25


def admin(app: RunningApp, method: str, path: str, json: Any = None) -> dict[str, Any]:
    headers = {"authorization": f"Bearer {ADMIN}"}
    answer = httpx.request(
        method, f"{app.url}/admin/v1{path}", headers=headers, json=json, timeout=20
    )
    assert answer.status_code < 300, answer.text
    body: dict[str, Any] = answer.json()
    return body


def a_customer(app: RunningApp, tenant: str, **limits: int) -> str:
    """A key of a new tenant that may use one adapter."""
    admin(app, "PUT", f"/tenants/{tenant}", {"default_adapter": ADAPTER, "limits": limits})
    scopes = ["inference", "usage:read"]
    made = admin(app, "POST", "/keys", {"tenant": tenant, "scopes": scopes})
    return str(made["key"])


def ask(app: RunningApp, key: str, content: str = "What moved the quarter?", **body: Any) -> Any:
    messages: list[Any] = [{"role": "user", "content": content}]
    return app.client(key).chat.completions.create(
        model=ADAPTER, messages=messages, **({"max_tokens": 8} | body)
    )


def used(app: RunningApp, key: str, requests: int) -> dict[str, Any]:
    """What the tenant has used, once so many requests are recorded."""
    rows: list[dict[str, Any]] = []

    def recorded() -> bool:
        headers = {"authorization": f"Bearer {key}"}
        url = f"{app.url}/v1/usage?interval=total&group_by=outcome"
        rows[:] = httpx.get(url, headers=headers, timeout=20).json()["data"]
        seen: int = sum(row["requests"] for row in rows)
        return seen == requests

    eventually(recorded, 15, f"{requests} requests are recorded")
    return {row["outcome"]: row for row in rows}


def test_what_is_recorded_is_what_clients_were_told(app: RunningApp) -> None:
    key = a_customer(app, "counted")
    whole = ask(app, key).usage
    several = ask(app, key, n=2).usage
    chunks = list(ask(app, key, stream=True, stream_options={"include_usage": True}))
    told = [whole, several, chunks[-1].usage]
    list(ask(app, key, stream=True))
    row = used(app, key, 4)["ok"]
    assert row["prompt_tokens"] == sum(u.prompt_tokens for u in told) + whole.prompt_tokens
    completion = sum(u.completion_tokens for u in told) + chunks[-1].usage.completion_tokens
    assert row["completion_tokens"] == completion


def test_a_stream_that_is_cut_is_charged_what_came_of_it(app: RunningApp) -> None:
    key = a_customer(app, "impatient")
    stream = ask(app, key, stream=True, max_tokens=1500, extra_body={"ignore_eos": True})
    received = [chunk for _, chunk in zip(range(20), stream, strict=False)]
    stream.close()
    row = used(app, key, 1)["client_gone"]
    assert row["prompt_tokens"] > 0
    assert len(received) - 2 <= row["completion_tokens"] < 1500


def test_what_a_tenant_has_said_warms_nothing_for_another(app: RunningApp) -> None:
    first, second = a_customer(app, "warm"), a_customer(app, "cold")
    warm: set[str] = set()
    for _ in range(4):
        replica, cached = ask_where(app, first)
        assert (cached > 0) == (replica in warm)
        warm.add(replica)
    cold: set[str] = set()
    while not cold & warm:
        replica, cached = ask_where(app, second)
        assert cached == 0 or replica in cold
        cold.add(replica)


def ask_where(app: RunningApp, key: str) -> tuple[str, int]:
    """The replica that answered a long prompt, and how many of its tokens it had cached."""
    answer = app.client(key).chat.completions.with_raw_response.create(
        model=ADAPTER, messages=[{"role": "user", "content": LONG}], max_tokens=2
    )
    usage = answer.parse().usage
    assert usage is not None
    assert usage.prompt_tokens_details is not None
    return answer.headers["x-serve-replica"], usage.prompt_tokens_details.cached_tokens or 0


def test_the_openai_client_understands_what_limits_say(app: RunningApp) -> None:
    key = a_customer(app, "limited", requests_per_minute=2)
    response = app.client(key).chat.completions.with_raw_response.create(
        model=ADAPTER, messages=[{"role": "user", "content": "hello"}], max_tokens=2
    )
    assert response.headers["x-ratelimit-remaining-requests"] == "1"
    ask(app, key)
    with pytest.raises(openai.RateLimitError, match="2 requests per minute") as refused:
        ask(app, key)
    assert refused.value.code == "rate_limit_exceeded"
    assert int(refused.value.response.headers["retry-after"]) >= 1
