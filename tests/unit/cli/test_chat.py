"""`serve-app chat`: one message, or one after another, and what it prints where."""

import json

import httpx
import pytest

from serve_app.cli.chatting import account
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, FAILED, REFUSED, STOPPED
from tests.unit.cli.talking import Run, runner
from tests.unit.client.wire import Application, Events, a_refusal, a_stream, chunks, streamed


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def test_one_message_is_answered_on_standard_output_alone(run: Run) -> None:
    words = ["chat", "finance", "-m", "How was it?", "--system", "be brief", "--max-tokens", "9"]
    result, application = run(words, a_stream("up", " 4%"))
    assert (result.exit_code, result.stdout) == (STOPPED, "up 4%\n")
    body = application.asked[0][2]
    assert body["model"] == "finance"
    assert body["max_tokens"] == 9
    assert [one["content"] for one in body["messages"]] == ["be brief", "How was it?"]


def test_a_program_gets_a_line_with_times_and_tokens(run: Run) -> None:
    result, _ = run(["chat", "finance", "-m", "x", "--output", "json"], a_stream("up", " 4%"))
    (line,) = result.stdout.splitlines()
    answer = json.loads(line)
    assert (answer["content"], answer["adapter"]) == ("up 4%", "finance@5533a83906f4")
    assert answer["usage"]["completion_tokens"] == 5
    assert answer["latency_s"] >= answer["time_to_first_token_s"] > 0


def test_what_was_said_is_remembered_until_it_is_to_be_forgotten(run: Run) -> None:
    says = "one\n\ntwo\n/new\nthree\n/exit\nfour\n"
    answers = (a_stream("first"), a_stream("second"), a_stream("third"))
    result, application = run(["chat", "finance"], *answers, says=says)
    assert (result.exit_code, result.stdout) == (STOPPED, "first\nsecond\nthird\n")
    told = [[one["content"] for one in body["messages"]] for _, _, body in application.asked]
    assert told == [["one"], ["one", "first", "two"], ["three"]]


def test_the_tenants_default_is_asked_if_nothing_is_named(run: Run) -> None:
    _, application = run(["chat", "-m", "x"], a_stream("up"))
    assert application.asked[0][2]["model"] == "base"


def test_an_answer_keeps_the_markup_that_is_in_it(run: Run) -> None:
    result, _ = run(["chat", "-m", "x"], a_stream("[bold]a[/bold] ", ":smile:"))
    assert result.stdout == "[bold]a[/bold] :smile:\n"


FAILURES: dict[str, tuple[httpx.Response | Exception, int]] = {
    "nobody there": (httpx.ConnectError("refused"), AWAY),
    "a wrong key": (a_refusal(401), DENIED),
    "a bad field": (a_refusal(400), CONFIG_REFUSED),
    "no such model": (a_refusal(404), REFUSED),
    "no room": (a_refusal(503), AWAY),
}


@pytest.mark.parametrize("says", [None, "hello\n"])
@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_an_exit_code_for(run: Run, case: str, says: str | None) -> None:
    answer, code = FAILURES[case]
    fresh = (
        httpx.Response(answer.status_code, content=answer.content)
        if isinstance(answer, httpx.Response)
        else answer
    )
    words = ["chat", "finance"] if says else ["chat", "finance", "-m", "hello"]
    result, _ = run(words, fresh, says=says or "")
    assert (result.exit_code, result.stdout) == (code, "")
    assert "error:" in result.stderr


def test_an_answer_that_is_cut_is_a_failure_after_what_came_of_it(run: Run) -> None:
    error = b'data: {"error":{"message":"the engine died","code":"x"}}\n\n'
    result, _ = run(["chat", "-m", "x"], streamed(Events([*chunks("up")[:2], error])))
    assert result.exit_code == FAILED
    assert result.stdout == "up"
    assert "the engine died" in result.stderr


def test_a_person_is_told_which_arm_of_an_experiment_answered() -> None:
    answer = a_stream("up")
    answer.headers.update({"x-serve-experiment": "tone-test", "x-serve-arm": "b"})
    stream = Application(answer).client().stream("tone-test", "x")
    assert list(stream) == ["up"]
    told = account(stream.metrics)
    assert told.startswith("finance@5533a83906f4 · arm b of tone-test · 5 tokens")
