"""`serve-app tenant|key|grant|limits|usage`: what they fail with, and what they never ask."""

import httpx
import pytest
from typer.testing import CliRunner

from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, REFUSED, UNKNOWN_ANSWER
from serve_app.cli.keys import seconds
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE
from serve_app.errors import envelope
from tests.unit.cli.admin_api import Run, runner


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def _refusal(status: int) -> httpx.Response:
    body = envelope("the server's own words", type_="x", param=None, code="y")
    return httpx.Response(status, json=body)


FAILURES: dict[str, tuple[httpx.Response | Exception, int, str]] = {
    "nobody there": (httpx.ConnectError("refused"), AWAY, "serve-app up"),
    "a wrong key": (_refusal(401), DENIED, "the server's own words"),
    "a tenant's key": (_refusal(403), DENIED, "refused the key"),
    "a bad field": (_refusal(400), CONFIG_REFUSED, "the server's own words"),
    "nothing of the name": (_refusal(404), REFUSED, "the server's own words"),
    "a conflict": (_refusal(409), REFUSED, "the server's own words"),
    "no gateway": (httpx.Response(503, text="<html>"), AWAY, "cannot answer now (503)"),
    "another server": (httpx.Response(200, text="<html>"), UNKNOWN_ANSWER, "is the URL right?"),
    "another API": (httpx.Response(200, json=["x"]), UNKNOWN_ANSWER, "is the URL right?"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_an_exit_code_for(run: Run, case: str) -> None:
    answer, code, words = FAILURES[case]
    result, _ = run("tenant show acme", answer)
    assert result.exit_code == code
    assert words in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    "command",
    [
        "tenant rm acme",
        "key rm 0aB1",
        "key create acme --expires-in soon",
        "key create acme --limit much",
        "tenant set acme --limit tokens_per_day=-1",
        "tenant rm .. --yes",
        "limits set acme",
        "limits set acme fast",
        "usage --by colour",
        "usage --csv --output json",
    ],
)
def test_a_wrong_command_line_asks_nothing(run: Run, command: str) -> None:
    result, api = run(command)
    assert result.exit_code == CONFIG_REFUSED
    assert api.asked == []


def test_without_a_key_it_is_said_where_one_comes_from() -> None:
    result = CliRunner(env={KEY_VARIABLE: ""}).invoke(app, ["tenant", "ls"])
    assert result.exit_code == CONFIG_REFUSED
    assert "sk-admin-demo" in result.stderr


@pytest.mark.parametrize(
    ("given", "lasts"), [("90d", 7_776_000), ("12h", 43_200), ("5m", 300), ("7s", 7), ("7", 7)]
)
def test_times_have_units(given: str, lasts: int) -> None:
    assert seconds(given, "--overlap") == lasts
