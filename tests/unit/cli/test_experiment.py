"""`serve-app experiment` and `feedback`: what they ask of an application, show, and fail with."""

import json
from typing import Any

import httpx
import pytest

from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, REFUSED, STOPPED, UNKNOWN_ANSWER
from tests.unit.cli.talking import Run, runner
from tests.unit.client.experiment_wire import ANSWERS, DELETED, EXPERIMENT, FEEDBACK, RESULTS
from tests.unit.client.wire import a_refusal, a_stream

AT = "/v1/experiments/tone-test"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return runner(monkeypatch)


def an_arm(name: str, model: str, weight: float = 1.0, shadow: float = 0.0) -> dict[str, Any]:
    return {"name": name, "model": model, "weight": weight, "shadow": shadow}


TWO = "create tone-test --arm a=finance@v1 --arm b=finance@v2"
MORE = (
    "--weight b=0.1 --shadow c=0.05 --goal first_token_s --min-effect 0.02 --description tone "
    "--owner acme --start"
)
ARMS = [an_arm("a", "finance@v1"), an_arm("b", "finance@v2")]
ASKED: dict[str, tuple[str, tuple[str, str, Any]]] = {
    "a new one": (
        TWO,
        ("POST", "/v1/experiments", {"name": "tone-test", "arms": ARMS, "start": False}),
    ),
    "a new one in every way": (
        f"{TWO} --arm c=base {MORE}",
        (
            "POST",
            "/v1/experiments",
            {
                "name": "tone-test",
                "arms": [ARMS[0], an_arm("b", "finance@v2", 0.1), an_arm("c", "base", 0.0, 0.05)],
                "goal": "first_token_s",
                "min_effect": 0.02,
                "description": "tone",
                "owner": "acme",
                "start": True,
            },
        ),
    ),
    "one": ("show tone-test", ("GET", AT, None)),
    "a start": ("start tone-test", ("POST", f"{AT}/start", None)),
    "a pause": ("pause tone-test", ("POST", f"{AT}/pause", None)),
    "weights": (
        "weights tone-test a=3 b=0",
        ("PATCH", AT, {"weights": {"a": 3.0, "b": 0.0}}),
    ),
    "a ramp": ("ramp tone-test b 20%", ("POST", f"{AT}/ramp", {"arm": "b", "share": 0.2})),
    "the better arm": ("promote tone-test", ("POST", f"{AT}/promote", None)),
    "an arm by a name of its own": (
        "promote tone-test b --alias finance-prod",
        ("POST", f"{AT}/promote", {"arm": "b", "alias": "finance-prod"}),
    ),
    "an end": ("stop tone-test", ("POST", f"{AT}/stop", None)),
    "a chosen end": ("stop tone-test --winner b", ("POST", f"{AT}/stop", {"winner": "b"})),
}


@pytest.mark.parametrize("case", ASKED)
def test_the_application_is_asked_for(run: Run, case: str) -> None:
    command, asked = ASKED[case]
    result, application = run(
        ["experiment", *command.split()], httpx.Response(200, json=EXPERIMENT)
    )
    assert result.exit_code == STOPPED, result.output
    assert application.asked == [asked]


def test_one_is_told_with_its_arms(run: Run) -> None:
    result, _ = run(["experiment", "show", "tone-test"], httpx.Response(200, json=EXPERIMENT))
    for shown in ("running", "the kinder tone", "2023-11-14", "finance@v2", "75%", "25%", "5%"):
        assert shown in result.stdout
    program, _ = run(
        ["experiment", "show", "tone-test", "--output", "json"],
        httpx.Response(200, json=EXPERIMENT),
    )
    assert json.loads(program.stdout) == EXPERIMENT


def test_a_list_is_a_table_for_people_and_json_for_programs(run: Run) -> None:
    other = EXPERIMENT | {"id": "verbs", "state": "stopped", "winner": "b"}
    body = {"object": "list", "data": [EXPERIMENT, other], "has_more": False, "last_id": "verbs"}
    result, _ = run(["experiment", "ls"], httpx.Response(200, json=body))
    for shown in ("tone-test", "running", "b=finance@v2 (25%)", "(5% shadow)", "verbs", "stopped"):
        assert shown in " ".join(result.stdout.split())
    program, application = run(
        ["experiment", "ls", "--output", "json"], httpx.Response(200, json=body)
    )
    assert json.loads(program.stdout)["data"] == [EXPERIMENT, other]
    assert application.asked == [("GET", "/v1/experiments?limit=100", None)]


def test_what_shadows_answered_is_a_table(run: Run) -> None:
    words = ["experiment", "answers", "tone-test", "--arm", "dark"]
    result, application = run(words, httpx.Response(200, json=ANSWERS))
    assert application.asked == [("GET", f"{AT}/answers?limit=100&arm=dark", None)]
    assert "up 4%" in result.stdout
    assert "r-1" in result.stdout


def test_one_is_removed_after_a_word(run: Run) -> None:
    refused, asked = run(["experiment", "rm", "tone-test"])
    assert (refused.exit_code, asked.asked) == (CONFIG_REFUSED, [])
    result, asked = run(["experiment", "rm", "tone-test", "-y"], httpx.Response(200, json=DELETED))
    assert (result.exit_code, result.stdout) == (STOPPED, "tone-test is removed\n")
    assert asked.asked == [("DELETE", AT, None)]


def test_results_are_shown_once_without_watch(run: Run) -> None:
    result, application = run(
        ["experiment", "results", "tone-test"], httpx.Response(200, json=RESULTS)
    )
    assert result.exit_code == STOPPED, result.output
    assert "b is better than a: by +0.2 (+0.1 to +0.3)." in result.stdout
    assert application.asked == [("GET", f"{AT}/results", None)]


def test_results_for_programs_are_a_line(run: Run) -> None:
    words = ["experiment", "results", "tone-test", "--output", "json"]
    result, _ = run(words, httpx.Response(200, json=RESULTS))
    (line,) = result.stdout.splitlines()
    assert json.loads(line) == RESULTS


FAILURES: dict[str, tuple[httpx.Response | Exception, int, str]] = {
    "nobody there": (httpx.ConnectError("refused"), AWAY, "serve-app up"),
    "a wrong key": (a_refusal(401), DENIED, "the server's own words"),
    "no such experiment": (a_refusal(404), REFUSED, "the server's own words"),
    "nothing decided": (a_refusal(409), REFUSED, "the server's own words"),
    "another server": (httpx.Response(200, text="<html>"), UNKNOWN_ANSWER, "is the URL right?"),
}


@pytest.mark.parametrize("command", ["promote tone-test", "results tone-test", "results t --watch"])
@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_one_line_and_an_exit_code_for(run: Run, case: str, command: str) -> None:
    answer, code, words = FAILURES[case]
    fresh = (
        httpx.Response(answer.status_code, content=answer.content)
        if isinstance(answer, httpx.Response)
        else answer
    )
    result, _ = run(["experiment", *command.split()], fresh)
    assert (result.exit_code, result.stdout) == (code, ""), result.output
    assert words in result.stderr
    assert len(result.stderr.splitlines()) == 1


WRONG = {
    "no arms": "create t",
    "an arm without a model": "create t --arm a --arm b=x",
    "two arms of one name": "create t --arm a=x --arm a=y",
    "a weight of no arm": "create t --arm a=x --arm b=y --weight c=1",
    "a weight that is none": "create t --arm a=x --arm b=y --weight b=much",
    "a shadow that is none": "create t --arm a=x --arm b=y --shadow b=nan",
    "a goal that is none": "create t --arm a=x --arm b=y --goal joy",
    "no weights": "weights t",
    "a weight without an arm": "weights t =1",
    "a share of everything": "ramp t b 100%",
    "a share that forgot its sign": "ramp t b 20",
    "a share that is none": "ramp t b some",
    "a negative share": "ramp t b -- -1%",
    "a name that leads elsewhere": "show ..",
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_command_line_asks_nothing(run: Run, case: str) -> None:
    result, application = run(["experiment", *WRONG[case].split()])
    assert result.exit_code == CONFIG_REFUSED, result.output
    assert application.asked == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--score -1 --label by=user", {"score": -1.0, "labels": {"by": "user"}}),
        ("--preferred-over req-2", {"preferred_over": "req-2"}),
    ],
)
def test_feedback_says_what_it_is_counted_for(run: Run, words: str, said: dict[str, Any]) -> None:
    result, application = run(
        ["feedback", "req-1", *words.split()], httpx.Response(200, json=FEEDBACK)
    )
    assert application.asked == [("POST", "/v1/feedback", {"request_id": "req-1", **said})]
    assert result.stdout == "kept of req-1, score 1, for arm b of tone-test\n"


def test_feedback_of_no_experiment_is_kept_too(run: Run) -> None:
    alone = FEEDBACK | {"experiment": None, "arm": None}
    result, _ = run(["feedback", "req-1", "--score", "1"], httpx.Response(200, json=alone))
    assert result.stdout == "kept of req-1, score 1\n"


@pytest.mark.parametrize(
    "words", ["", "--score 1 --preferred-over req-2", "--score 2", "--score 1 --label by"]
)
def test_feedback_is_one_thing_or_the_other(run: Run, words: str) -> None:
    result, application = run(["feedback", "req-1", *words.split()])
    assert result.exit_code == CONFIG_REFUSED, result.output
    assert application.asked == []


def test_a_chat_tells_programs_which_arm_answered(run: Run) -> None:
    answer = a_stream("up")
    answer.headers.update({"x-serve-experiment": "tone-test", "x-serve-arm": "b"})
    result, _ = run(["chat", "tone-test", "-m", "x", "--output", "json"], answer)
    told = json.loads(result.stdout)
    assert (told["experiment"], told["arm"]) == ("tone-test", "b")
