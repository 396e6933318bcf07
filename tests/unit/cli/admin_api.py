"""Commands that speak with a scripted admin API."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from serve_app.cli import address, admin
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE

KEY = {
    "id": "0aB1",
    "object": "key",
    "tenant": "acme",
    "label": "app",
    "scopes": ["inference"],
    "state": "active",
    "expires": 1_800_000_000,
    "declared": False,
}
TENANT = {
    "id": "acme",
    "object": "tenant",
    "description": "a customer",
    "adapters": ["finance"],
    "default_adapter": "finance",
    "base": False,
    "enabled": True,
    "weight": 1.0,
    "limits": {"requests_per_minute": 60},
    "keys": 2,
    "declared": False,
}
USED = {
    "object": "usage",
    "start": None,
    "tenant": "acme",
    "requests": 1234,
    "prompt_tokens": 5_000_000,
    "cached_tokens": 1,
    "completion_tokens": 7,
    "time_to_first_token_s": 0.25,
    "duration_s": None,
}


class Api:
    """The admin API, as a test scripts it."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.raw_path.decode().removeprefix("/admin/v1")
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, path, body))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def a_page(*rows: dict[str, Any], more: bool = False) -> httpx.Response:
    last = rows[-1].get("id") if rows else None
    page = {"object": "list", "data": rows, "has_more": more, "last_id": last}
    return httpx.Response(200, json=page)


Run = Callable[..., tuple[Result, Api]]


def runner(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command line against an admin API that answers as told."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(command: str, *answers: httpx.Response | Exception) -> tuple[Result, Api]:
        api = Api(*answers)
        monkeypatch.setattr(
            admin,
            "connected",
            lambda url, key, _: address.connected(url, key, httpx.MockTransport(api)),
        )
        return CliRunner(env={KEY_VARIABLE: "sk-admin"}).invoke(app, command.split()), api

    return run
