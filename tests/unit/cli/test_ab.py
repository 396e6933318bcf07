"""`serve-app ab run`: prompts in; a table, a verdict, a JSON file and a report out."""

import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from serve_app.cli.exits import AWAY, CONFIG_REFUSED, MACHINE_UNFIT, REFUSED, STOPPED
from serve_app.cli.main import app
from serve_app.cli.options import KEY_VARIABLE
from tests.unit.cli.talking import answered_by
from tests.unit.client.wire import a_refusal, a_stream, an_answer

PROMPTS = [f"prompt {number}" for number in range(8)]


class Fleet:
    """Has the models ``a-lora`` and ``b-lora``, which answer with their own names, and ``judge``.

    Attributes:
        down: no model answers.
    """

    def __init__(self) -> None:
        self.down = False
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path.startswith("/v1/models/"):
            there = path.endswith(("/a-lora", "/b-lora"))
            card = {"id": "x", "object": "model", "created": 1, "owned_by": "y"}
            return httpx.Response(200, json=card) if there else a_refusal(404, "no such model")
        body: dict[str, Any] = json.loads(request.content)
        self.asked.append(body["model"])
        if self.down:
            return a_refusal(503, "no room")
        if body["model"] == "judge":
            said = body["messages"][-1]["content"]
            return an_answer("FIRST" if said.index("a-lora") < said.index("b-lora") else "SECOND")
        return a_stream(f"{body['model']} says")


@pytest.fixture
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture
def run(tmp_path: Path, fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "prompts.txt").write_text("\n\n".join(PROMPTS) + "\n")
    answered_by(monkeypatch, fleet)

    def run(*words: str, a: str = "a-lora", says: str = "") -> Result:
        command = ["ab", "run", "prompts.txt", "--a", a, "--b", "b-lora", *words]
        return CliRunner(env={KEY_VARIABLE: "sk"}).invoke(app, command, input=says)

    return run


def test_a_test_is_a_table_and_a_file(run: Any, tmp_path: Path) -> None:
    result = run("--max-tokens", "9")
    assert result.exit_code == STOPPED, result.output
    assert "A: a-lora" in result.stdout
    assert "written: ab_test_results.json" in result.stdout
    assert "preferred" not in result.stdout
    written = json.loads((tmp_path / "ab_test_results.json").read_text())
    assert [one["prompt"] for one in written] == PROMPTS
    assert written[0]["lora_b"]["response"] == "b-lora says"
    assert written[0]["params"] == {"max_tokens": 9}


@pytest.mark.parametrize("judge", ["exact:a-lora says", "regex:^a-", "model:judge"])
def test_a_judge_decides_and_the_verdict_is_said(run: Any, judge: str) -> None:
    result = run("--judge", judge)
    assert result.exit_code == STOPPED, result.output
    assert "A (a-lora) is preferred by this judge" in result.stdout


def test_a_program_gets_figures_verdict_and_answers(run: Any) -> None:
    answer = json.loads(run("--judge", "regex:^b-", "--output", "json").stdout)
    assert answer["object"] == "ab_test"
    assert (answer["wins"]["a"], answer["wins"]["b"]) == (0, 8)
    assert [side["name"] for side in answer["summary"]] == ["a-lora", "b-lora"]
    assert answer["summary"][0]["median"]["completion_tokens"] == 5
    assert len(answer["results"]) == 8


def test_each_prompt_may_have_its_own_expected_answer(run: Any, tmp_path: Path) -> None:
    lines = ["a-lora says"] * 3 + ["b-lora says"] * 5
    (tmp_path / "expected.txt").write_text("\n".join(lines))
    answer = json.loads(run("--judge", "exact:@expected.txt", "--output", "json").stdout)
    assert (answer["wins"]["a"], answer["wins"]["b"]) == (3, 5)


def test_a_person_may_judge(run: Any) -> None:
    result = run("--judge", "human", says="t\n" * 8)
    assert result.exit_code == STOPPED, result.output
    assert "All 8 judged prompts are ties" in result.stdout


def test_a_report_is_written(run: Any, tmp_path: Path) -> None:
    result = run("--report", "out.html", "--judge", "regex:^a-")
    assert "written: ab_test_results.json, out.html" in result.stdout
    page = (tmp_path / "out.html").read_text()
    assert "A (a-lora) is preferred" in page
    assert "judge: regex:^a-" in page


def test_a_judge_that_fails_is_told_of(run: Any) -> None:
    result = run("--judge", "human", says="")
    assert "The judge failed on 8 prompts, first with: EOFError" in result.stdout


def test_a_model_that_is_not_there_ends_it_before_anybody_is_asked(run: Any, fleet: Fleet) -> None:
    result = run(a="nobody")
    assert result.exit_code == REFUSED
    assert "no such model" in result.stderr
    assert fleet.asked == []


def test_no_prompt_answered_by_both_is_a_failure_that_is_written_down(
    run: Any, fleet: Fleet, tmp_path: Path
) -> None:
    fleet.down = True
    result = run("--report", "out.html")
    assert result.exit_code == AWAY
    assert "no room" in result.stderr
    written = json.loads((tmp_path / "ab_test_results.json").read_text())
    assert "no room" in written[0]["lora_a"]["error"]
    assert "no room" in (tmp_path / "out.html").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--judge", "coin"], "--judge"),
        (["--judge", "regex:("], "regular expression"),
        (["--judge", "exact:@nowhere.txt"], "nowhere.txt"),
        (["--judge", "exact:@prompts.txt", "--judge", "exact:"], "--judge"),
        (["--judge", "model:x", "--judge-url", "http://j/v1"], "--judge-key"),
        (["--out", "no/folder.json"], "cannot be written"),
        (["--report", "."], "cannot be written"),
    ],
)
def test_a_wrong_command_line_asks_nobody(
    run: Any, fleet: Fleet, words: list[str], said: str
) -> None:
    result = run(*words)
    assert result.exit_code == CONFIG_REFUSED, result.output
    assert said in result.stderr
    assert fleet.asked == []


def test_prompts_that_are_none_are_refused(run: Any, tmp_path: Path) -> None:
    (tmp_path / "prompts.txt").write_text("\n  \n")
    assert run().exit_code == CONFIG_REFUSED


def test_a_report_without_its_packages_is_refused_before_anybody_is_asked(
    run: Any, fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [*sys.modules]:
        if name.startswith("serve_app.client.ab.") and name.endswith(("report", "wins", "plots")):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy.stats", None)
    result = run("--report", "out.html")
    assert result.exit_code == MACHINE_UNFIT
    assert "serve-app[report]" in result.stderr
    assert fleet.asked == []
