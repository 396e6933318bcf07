"""What an experiment shows, on a terminal: once and again and again."""

import io
from typing import Any

import httpx
import pytest
from rich.console import Console
from rich.text import Text

from serve_app.cli import experiment_tables
from serve_app.cli.admin import Site
from serve_app.cli.arms import percent, share_of
from serve_app.cli.experiment_live import watched
from serve_app.cli.watching import Manner, show
from serve_app.client import ExperimentResults
from tests.unit.client.experiment_wire import RESULTS
from tests.unit.client.wire import URL, Application, a_refusal


def results(**changed: Any) -> ExperimentResults:
    return ExperimentResults.model_validate(RESULTS | changed)


def lines(of: ExperimentResults, width: int = 150) -> list[list[str]]:
    """What stands on the screen, in words."""
    console = Console(file=io.StringIO(), width=width)
    console.print(experiment_tables.screen(of, width))
    assert isinstance(console.file, io.StringIO)
    return [line.split() for line in console.file.getvalue().splitlines() if line.strip()]


def style_of(text: Text, part: str) -> str:
    """How a part of it is written."""
    spans = [span for span in text.spans if text.plain[span.start : span.end] == part]
    return str(spans[0].style) if spans else str(text.style)


def test_an_arm_is_a_row() -> None:
    control, better, shadow = lines(results())[3:6]
    assert control == [
        *("a", "control", "finance@v1", "75%", "1,200", "4,800", "0.4%"),
        *("0.41", "(0.35", "to", "0.48)", "0.31", "s", "52.4", "118"),
        *("stop", "98.3%", "·", "length", "1.67%"),
    ]
    assert better[:5] == ["b", "finance@v2", "25%", "400", "1,600"]
    assert better[-6:] == ["87", "ms", "52.4", "118", "stop", "100%"]
    assert shadow[:4] == ["c", "finance@v3", "5%", "shadow"]
    assert shadow[4:] == ["0", "0", *"––––––"]  # noqa: RUF001 - nothing is known of it


def test_a_narrow_terminal_does_without_what_matters_least() -> None:
    wide, narrow = lines(results()), lines(results(), 80)
    assert {"model", "requests", "tokens", "finished"} <= set(wide[1])
    assert not {"model", "requests", "tokens", "finished"} & set(narrow[1])
    assert narrow[3][:2] == ["a", "75%"], "names are whole"
    assert {"units", "score", "tokens/s"} <= set(narrow[1])


def test_what_arms_are_compared_by_has_its_interval() -> None:
    control = " ".join(lines(results(goal="first_token_s"))[3])
    assert "0.31 s (0.30 s to 0.32 s)" in control


def test_the_better_arm_is_green_and_every_finding_is_a_sentence() -> None:
    found = results()
    assert style_of(experiment_tables.headline(found), "b is better") == "bold green"
    better, early = experiment_tables.findings(found)
    assert (better.plain, better.style) == (f" {found.verdicts[0].text}", "green")
    assert (early.plain, early.style) == (f" {found.verdicts[1].text}", "dim")


def test_nothing_is_found_before_there_is_a_winner() -> None:
    headline = experiment_tables.headline(results(leader=None))
    assert headline.plain == " tone-test running · by score"


def test_a_mismatch_is_an_alarm_in_red_and_said_once() -> None:
    said = "Units are not shared out as the weights say."
    verdicts = [one | {"finding": "mismatch", "text": said} for one in RESULTS["verdicts"]]
    found = results(text=said, verdicts=verdicts, mismatch={"alarm": True, "p": 0.0003})
    alarm = style_of(experiment_tables.headline(found), "MISMATCH, p = 0.0003")
    assert alarm == "bold white on red"
    assert [(one.plain, one.style) for one in experiment_tables.findings(found)] == [
        (f" {said}", "bold red")
    ]


def test_the_errors_of_a_harmful_arm_are_red() -> None:
    verdicts = [RESULTS["verdicts"][0] | {"finding": "harmful"}]
    (column,) = [
        one
        for one in experiment_tables.table(results(verdicts=verdicts), wide=True).columns
        if one.header == "errors"
    ]
    control, harmful, _ = column.cells
    assert isinstance(control, Text)
    assert isinstance(harmful, Text)
    assert (control.plain, control.style) == ("0.4%", "")
    assert (harmful.plain, harmful.style) == ("0.4%", "bold red")


def test_what_others_named_steers_no_terminal() -> None:
    arms = [RESULTS["arms"][0] | {"name": "a\x1b[2J", "model": "[red]x[/red]"}]
    found = results(id="t\x1b[2J", text="\x1b[2Jgone", arms=arms, verdicts=[], winner=None)
    console = Console(file=io.StringIO(), width=150)
    console.print(experiment_tables.screen(found, 150))
    assert isinstance(console.file, io.StringIO)
    shown = console.file.getvalue()
    assert "\x1b" not in shown
    assert "[red]x[/red]" in shown


def test_results_are_watched_until_ctrl_c_and_an_absence_is_waited_for() -> None:
    application = Application(
        httpx.Response(200, json=RESULTS | {"state": "running"}),
        a_refusal(503),
        httpx.Response(200, json=RESULTS | {"state": "stopped"}),
    )
    console = Console(file=io.StringIO(), width=150)
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        if not application.answers:
            raise KeyboardInterrupt

    page = watched(application.client(), Site(URL, "k"), "tone-test", console)
    with pytest.raises(KeyboardInterrupt):
        show(page, Manner(watch=True, every_s=2.0), console, sleep)
    assert isinstance(console.file, io.StringIO)
    seen = console.file.getvalue()
    states = [word for word in seen.split() if word in ("running", "stopped", "(503):")]
    assert states == ["running", "(503):", "running", "stopped"]
    assert slept == [2.0, 2.0, 2.0]


@pytest.mark.parametrize(
    ("given", "share"), [("20%", 0.2), ("0.2", 0.2), ("0", 0), ("12.5%", 0.125)]
)
def test_a_share_is_a_part_or_a_percentage(given: str, share: float) -> None:
    assert share_of(given) == share


@pytest.mark.parametrize(("share", "words"), [(0.5, "50%"), (1 / 3, "33.3%"), (0.004, "0.4%")])
def test_shares_are_for_people(share: float, words: str) -> None:
    assert percent(share) == words
