"""`serve-app lora`: what it asks of an application, shows, and fails with."""

import json
from typing import Any

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner

from serve_app.cli import loras
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, REFUSED, STOPPED, UNKNOWN_ANSWER
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE
from serve_app.client import Lora
from tests.unit.cli.talking import Run, runner
from tests.unit.client.wire import LORA, VERSION, Application, a_refusal


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def ok(*records: dict[str, Any]) -> httpx.Response:
    return httpx.Response(200, json={"object": "list", "data": records, "has_more": False})


ASKED: dict[str, tuple[str, tuple[str, str, Any]]] = {
    "one": ("info finance", ("GET", "/v1/lora/finance", None)),
    "a new one": (
        "register new /adapters/new --owner acme --grant bare --label team=x --pin --no-wait",
        (
            "POST",
            "/v1/lora/register",
            {
                "lora_name": "new",
                "lora_path": "/adapters/new",
                "owner": "acme",
                "grants": ["bare"],
                "labels": {"team": "x"},
                "pin": True,
                "wait": False,
            },
        ),
    ),
    "none any more": ("rm finance --yes", ("DELETE", "/v1/lora/finance", None)),
    "the version before": ("rollback finance", ("POST", "/v1/lora/finance/rollback", None)),
    "a version": (
        *("rollback finance --to 1",),
        ("POST", "/v1/lora/finance/rollback", {"version": 1}),
    ),
    "a content": (
        *("rollback finance --to 5533a83906f4",),
        ("POST", "/v1/lora/finance/rollback", {"version": "5533a83906f4"}),
    ),
}


@pytest.mark.parametrize("case", ASKED)
def test_the_application_is_asked_for(run: Run, case: str) -> None:
    command, asked = ASKED[case]
    result, application = run(["lora", *command.split()], httpx.Response(200, json=LORA))
    assert result.exit_code == STOPPED, result.output
    assert application.asked == [asked]


def test_adapters_are_a_table_for_people_and_json_for_programs(run: Run) -> None:
    result, _ = run(["lora", "ls"], ok(LORA))
    for shown in ("finance", "5533a83906f4", "live", "acme", "1 MB", "stable"):
        assert shown in result.stdout
    assert "0" * 52 not in result.stdout
    program, _ = run(["lora", "ls", "--output", "json"], ok(LORA))
    assert json.loads(program.stdout)["data"][0]["digest"] == LORA["digest"]


def test_only_those_that_answer_may_be_listed(run: Run) -> None:
    failed = LORA | {"id": "broken", "state": "failed", "version": None, "digest": None}
    result, _ = run(["lora", "ls", "--live"], ok(LORA, failed))
    assert "broken" not in result.stdout
    every, _ = run(["lora", "ls"], ok(LORA, failed))
    assert "broken" in every.stdout


def test_one_adapter_is_told_with_the_replicas_that_hold_it(run: Run) -> None:
    result, _ = run(["lora", "info", "finance"], httpx.Response(200, json=LORA))
    for shown in ("/adapters/finance", "team=x", "stable=1", "resident", "r1"):
        assert shown in result.stdout


def test_one_adapter_that_failed_says_why(run: Run) -> None:
    error = {"code": "adapter_rank_too_large", "message": "rank 64 is too large"}
    failed = LORA | {"registration": {"state": "failed", "error": error}, "replicas": []}
    result, _ = run(["lora", "info", "finance"], httpx.Response(200, json=failed))
    assert "rank 64 is too large [adapter_rank_too_large]" in result.stdout


def test_versions_say_which_is_in_force(run: Run) -> None:
    result, _ = run(["lora", "versions", "finance"], ok(VERSION, VERSION | {"current": False}))
    assert result.stdout.count("yes") == 1
    assert "2023-11-14" in result.stdout


FAILURES: dict[str, tuple[httpx.Response | Exception, int, str]] = {
    "nobody there": (httpx.ConnectError("refused"), AWAY, "serve-app up"),
    "a wrong key": (a_refusal(401), DENIED, "the server's own words"),
    "a key that may not": (a_refusal(403), DENIED, "refused the key"),
    "a bad field": (a_refusal(400), CONFIG_REFUSED, "the server's own words"),
    "no such adapter": (a_refusal(404), REFUSED, "the server's own words"),
    "a bad adapter": (a_refusal(422), REFUSED, "the server's own words"),
    "too many requests": (a_refusal(429), REFUSED, "the server's own words"),
    "control is away": (a_refusal(503), AWAY, "cannot answer now (503)"),
    "another server": (httpx.Response(200, text="<html>"), UNKNOWN_ANSWER, "is the URL right?"),
    "another page": (httpx.Response(404, text="<html>"), UNKNOWN_ANSWER, "is the URL right?"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_an_exit_code_for(run: Run, case: str) -> None:
    answer, code, words = FAILURES[case]
    result, _ = run(["lora", "info", "finance"], answer)
    assert result.exit_code == code, result.output
    assert words in result.stderr
    assert result.stdout == ""
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "command",
    ["rm finance", "register new", "register new /x --label team", "info finance --url nowhere"],
)
def test_a_wrong_command_line_asks_nothing(run: Run, command: str) -> None:
    result, application = run(["lora", *command.split()])
    assert result.exit_code == CONFIG_REFUSED
    assert application.asked == []


def test_without_a_key_it_is_said_where_one_comes_from() -> None:
    result = CliRunner(env={KEY_VARIABLE: ""}).invoke(app, ["lora", "ls"])
    assert result.exit_code == CONFIG_REFUSED
    assert KEY_VARIABLE in result.stderr


def test_how_far_a_registration_is_comes_from_the_application() -> None:
    under_way = {"state": "registered", "bytes": 12_000_000}
    lora = Lora.model_validate(LORA | {"state": "registered", "registration": under_way})
    assert loras.stage(lora) == "registered, 12 MB fetched"
    assert loras.stage(Lora.model_validate(LORA)) == "live"


def test_a_registration_is_watched_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loras, "EVERY_S", 0.001)
    monkeypatch.setattr(loras, "Console", lambda stderr: Console(quiet=True, force_terminal=True))
    under_way = httpx.Response(200, json=LORA)
    application = Application(under_way)
    with loras.progress(application.client(), "new"):
        while application.answers:
            pass
    assert application.asked[0] == ("GET", "/v1/lora/new", None)


@pytest.mark.parametrize(
    ("count", "words"),
    [(None, "-"), (999, "999 B"), (12_000, "12 KB"), (1_234_567, "1 MB"), (5 * 10**12, "5,000 GB")],
)
def test_sizes_are_for_people(count: int | None, words: str) -> None:
    assert loras.size(count) == words
