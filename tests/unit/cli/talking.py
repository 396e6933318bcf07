"""Commands that speak with a scripted application through the SDK."""

from collections.abc import Callable

import httpx
import pytest
from typer.testing import CliRunner, Result

from serve_app.cli import sdk
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE
from tests.unit.client.wire import Application

Run = Callable[..., tuple[Result, Application]]
Handler = Callable[[httpx.Request], httpx.Response]


def answered_by(monkeypatch: pytest.MonkeyPatch, application: Handler) -> None:
    """Let the application be what commands speak with."""
    transport = httpx.MockTransport(application)
    made = sdk._options

    def options(site: object, within_s: float, kind: Callable[..., object]) -> dict[str, object]:
        is_async = "Async" in kind.__name__
        client = httpx.AsyncClient if is_async else httpx.Client
        named = made(site, within_s, lambda **_: None)  # type: ignore[arg-type]
        return named | {"http_client": client(transport=transport)}

    monkeypatch.setattr(sdk, "_options", options)


def runner(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command, given as its words, against an application that answers as told."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(
        words: list[str], *answers: httpx.Response | Exception, says: str = ""
    ) -> tuple[Result, Application]:
        application = Application(*answers)
        with monkeypatch.context() as patched:
            answered_by(patched, application)
            result = CliRunner(env={KEY_VARIABLE: "sk-acme"}).invoke(app, words, input=says)
        return result, application

    return run
