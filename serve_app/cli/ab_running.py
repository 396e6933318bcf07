"""``serve-app ab run`` at work: read the prompts, ask, show, write."""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from serve_app.cli import admin, sdk
from serve_app.cli.ab import Options
from serve_app.cli.ab_judge import HUMAN, judge_of
from serve_app.cli.address import NoAnswer
from serve_app.cli.admin import Json, Site
from serve_app.cli.exits import AWAY
from serve_app.client import ABTester, Comparison, LoraClient
from serve_app.client.ab.summary import Side, middle, sides

Conclude = Callable[[Sequence[Comparison]], Json]
_FIGURES = {
    "first_token_s": "{:.3f}",
    "latency_s": "{:.3f}",
    "completion_tokens": "{:g}",
    "tokens_per_s": "{:.1f}",
}
"""Of each side, and how they are written."""


def run(options: Options) -> int:
    """Compare, write and show; the exit code."""
    prompts, conclude = read(options.prompts), _conclusion(options)
    _writable(options)

    def show(console: Console, answer: Json) -> None:
        _show(console, answer)
        written = [str(path) for path in (options.out, options.report) if path is not None]
        console.print(f"written: {', '.join(written)}", markup=False, highlight=False)

    return admin.shown(options.output, lambda: _tested(options, prompts, conclude), show)


def read(path: Path) -> list[str]:
    """The prompts of a file, a line each; those of standard input, if it is ``-``.

    Raises:
        typer.BadParameter: there are none.
    """
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="PROMPTS") from None
    prompts = [line.strip() for line in text.splitlines() if line.strip()]
    if not prompts:
        raise typer.BadParameter(f"{path} has no prompts", param_hint="PROMPTS")
    return prompts


def _conclusion(options: Options) -> Conclude:
    """What a test ends with. Its packages are wanted before anybody is asked anything."""
    if options.judge is None and options.report is None:
        return lambda _done: {"wins": None, "verdict": []}
    from serve_app.client.ab.report import write_report
    from serve_app.client.ab.wins import verdict, wins

    def conclude(done: Sequence[Comparison]) -> Json:
        if options.report is not None:
            write_report(done, options.report, options.judge or "")
        found = wins(done)
        said = [*verdict(found, options.lora_a, options.lora_b), *_failures(done)]
        return {"wins": asdict(found), "verdict": said if options.judge else []}

    return conclude


def _writable(options: Options) -> None:
    """Answers that cannot be written would be lost."""
    for path, option in ((options.out, "--out"), (options.report, "--report")):
        if path is not None and (path.is_dir() or not path.absolute().parent.is_dir()):
            raise typer.BadParameter(f"{path} cannot be written", param_hint=option)


def _tested(options: Options, prompts: Sequence[str], conclude: Conclude) -> Json:
    """The whole test, as a program reads it.

    Raises:
        NoAnswer: a model is not there, or no prompt was answered by both.
    """
    site = Site(options.url, options.api_key)
    for name in (options.lora_a, options.lora_b):
        sdk.asked(site, partial(_must_be_there, name))
    done = asyncio.run(_compared(options, site, prompts))
    ended = conclude(done)
    if not any(one.lora_a.error is None and one.lora_b.error is None for one in done):
        raise NoAnswer(f"no prompt was answered by both: {_first_error(done)}", AWAY)
    return {
        "object": "ab_test",
        "summary": [_figures(side) for side in sides(done)],
        **ended,
        "results": [one.as_json() for one in done],
    }


def _must_be_there(name: str, client: LoraClient) -> None:
    client.openai.models.retrieve(name)


async def _compared(options: Options, site: Site, prompts: Sequence[str]) -> list[Comparison]:
    given = {"max_tokens": options.max_tokens, "temperature": options.temperature}
    params: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    async with sdk.async_lora_client(site) as client:
        tester = ABTester(client, judge_of(options, prompts, lambda: client.openai))
        with _progress(len(prompts), hidden=options.judge == HUMAN) as tell:
            return await tester.run(
                prompts,
                options.lora_a,
                options.lora_b,
                options.system,
                out=options.out,
                on_progress=tell,
                **params,
            )


@contextmanager
def _progress(total: int, *, hidden: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar on standard error, where that is a terminal and nobody is asked there."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=hidden or not console.is_terminal) as bar:
        task = bar.add_task("prompts", total=total)
        yield lambda done, _total: bar.update(task, completed=done)


def _figures(side: Side) -> Json:
    medians = {name: middle(getattr(side, name)) for name in _FIGURES}
    return {
        "side": side.letter,
        "name": side.name,
        "adapters": list(side.adapters),
        "answers": side.answers,
        "errors": side.errors,
        "median": medians,
    }


def _show(console: Console, answer: Json) -> None:
    table = Table(title="A/B test: medians", title_justify="left")
    table.add_column("")
    for name in ("answers", "errors", "first token, s", "whole, s", "tokens", "tokens/s", "wins"):
        table.add_column(name, justify="right")
    wins = answer["wins"] if answer["verdict"] else None
    for side in answer["summary"]:
        medians = side["median"]
        numbers = [_number(form, medians[name]) for name, form in _FIGURES.items()]
        won = str(wins[side["side"].lower()]) if wins else "-"
        name = f"{side['side']}: {side['name']}"
        table.add_row(name, str(side["answers"]), str(side["errors"]), *numbers, won)
    console.print(table)
    for sentence in answer["verdict"]:
        console.print(sentence, markup=False, highlight=False)


def _number(form: str, value: float | None) -> str:
    return "-" if value is None else form.format(value)


def _failures(done: Sequence[Comparison]) -> list[str]:
    """What the judge failed at, in a sentence; nothing if it did not."""
    errors = [one.judge_error for one in done if one.judge_error is not None]
    return [f"The judge failed on {len(errors)} prompts, first with: {errors[0]}"] if errors else []


def _first_error(done: Sequence[Comparison]) -> str:
    errors = (reply.error for one in done for reply in (one.lora_a, one.lora_b))
    return next((error for error in errors if error is not None), "")
