"""What an experiment shows, as a table for a terminal. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serve_app.cli.arms import percent
from serve_app.cli.fleet_tables import seconds
from serve_app.client import ArmResults, ExperimentResults, Figure
from serve_app.client.printable import printable

_FINDINGS = {
    "better": "green",
    "worse": "yellow",
    "alike": "cyan",
    "harmful": "bold red",
    "mismatch": "bold red",
}
_WIDE = 120
_NOTHING = "–"  # noqa: RUF001 - a dash is what a reader expects there
Say = Callable[[float], str]


@dataclass(frozen=True, slots=True)
class _Column:
    """Of the table; a narrow one does without what is not ``always`` there."""

    title: str
    cell: Callable[[ExperimentResults, ArmResults], Text]
    number: bool = True
    always: bool = True


def screen(results: ExperimentResults, width: int) -> RenderableType:
    """All of it: a row an arm, and beneath them what is found.

    Args:
        width: columns there are; if they are few, the table leaves out what matters least.
    """
    return Group(headline(results), table(results, width >= _WIDE), *findings(results))


def headline(results: ExperimentResults) -> Text:
    """The experiment in a line, and in red whether it can be believed."""
    text = Text.assemble(
        (f" {printable(results.id)}", "bold"), f" {results.state} · by {results.goal}"
    )
    if results.leader is not None:
        text.append(" · ").append(f"{printable(results.leader)} is better", "bold green")
    if results.mismatch.alarm:
        text.append(" · ").append(f"MISMATCH, p = {results.mismatch.p:.2g}", "bold white on red")
    return text


def table(results: ExperimentResults, wide: bool) -> Table:
    """A row an arm."""
    columns = [column for column in _COLUMNS if wide or column.always]
    shown = Table(box=box.SIMPLE_HEAD, header_style="dim", pad_edge=False, collapse_padding=True)
    for column in columns:
        if column.number:
            shown.add_column(column.title, justify="right", no_wrap=True)
        else:
            shown.add_column(column.title, overflow="fold")
    for arm in results.arms:
        shown.add_row(*(column.cell(results, arm) for column in columns))
    return shown


def findings(results: ExperimentResults) -> list[Text]:
    """The sentence about all of it, and one for each arm where that says something else."""
    said = {results.text: ""}
    said |= {one.text: _FINDINGS.get(one.finding, "dim") for one in results.verdicts}
    return [Text(f" {printable(text)}", style) for text, style in said.items() if text]


def _name(results: ExperimentResults, arm: ArmResults) -> Text:
    text = Text(printable(arm.name), "bold green" if arm.name == results.leader else "bold")
    return text.append(" control", "not bold dim") if arm is results.arms[0] else text


def _model(_results: ExperimentResults, arm: ArmResults) -> Text:
    return Text(printable(arm.model))


def _share(_results: ExperimentResults, arm: ArmResults) -> Text:
    if arm.shadow:
        return Text(f"{percent(arm.shadow)} shadow", "dim")
    return Text(percent(arm.share))


def _units(_results: ExperimentResults, arm: ArmResults) -> Text:
    return Text(f"{arm.units:,}")


def _requests(_results: ExperimentResults, arm: ArmResults) -> Text:
    return Text(f"{arm.requests:,}")


def _errors(results: ExperimentResults, arm: ArmResults) -> Text:
    harmful = any(one.arm == arm.name and one.finding == "harmful" for one in results.verdicts)
    text = _figure("error_rate", percent, results, arm)
    return Text(text.plain, "bold red") if harmful else text


def _finished(_results: ExperimentResults, arm: ArmResults) -> Text:
    reasons = sorted(arm.finish_reasons.items(), key=lambda one: -one[1])
    total = sum(arm.finish_reasons.values()) or 1
    said = " · ".join(
        f"{printable(why)} {percent(count / total)}" for why, count in reasons if count
    )
    return Text(said) if said else Text(_NOTHING, "dim")


def _figure(name: str, say: Say, results: ExperimentResults, arm: ArmResults) -> Text:
    """A mean; of what arms are compared by, and of the score, the interval too."""
    figure = arm.figures.get(name, Figure())
    if figure.mean is None:
        return Text(_NOTHING, "dim")
    text = Text(say(figure.mean))
    if name in ("score", results.goal) and figure.low is not None and figure.high is not None:
        text.append(f" ({say(figure.low)} to {say(figure.high)})", "dim")
    return text


_COLUMNS = (
    _Column("arm", _name, number=False),
    _Column("model", _model, number=False, always=False),
    _Column("share", _share),
    _Column("units", _units),
    _Column("requests", _requests, always=False),
    _Column("errors", _errors),
    _Column("score", partial(_figure, "score", "{:.3g}".format)),
    _Column("first token", partial(_figure, "first_token_s", seconds)),
    _Column("tokens/s", partial(_figure, "tokens_per_s", "{:.1f}".format)),
    _Column("tokens", partial(_figure, "completion_tokens", "{:.0f}".format), always=False),
    _Column("finished", _finished, number=False, always=False),
)
