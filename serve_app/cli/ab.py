"""The options of ``serve-app ab``; ``ab_running``, imported when it is run, does the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.chat import MaxTokens, System, Temperature
from serve_app.cli.options import URL, ApiKey, Form, Output, Url

ab = typer.Typer(help="Two adapters beside each other.", no_args_is_help=True)

JUDGES = (
    "exact:TEXT, exact:@FILE (a line for each prompt), regex:PATTERN, model:NAME, or human; "
    "nobody, if not."
)
JUDGE = "Judge"


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    prompts: Path
    lora_a: str
    lora_b: str
    out: Path
    report: Path | None
    judge: str | None
    judge_url: str | None
    judge_key: str
    seed: int
    system: str | None
    max_tokens: int | None
    temperature: float | None
    url: str
    api_key: str
    output: Output


@ab.command("run")
def run(
    prompts: Annotated[
        Path, typer.Argument(metavar="PROMPTS", help="A file with a prompt a line; - is the input.")
    ],
    lora_a: Annotated[str, typer.Option("--a", metavar="MODEL", help="One adapter.")],
    lora_b: Annotated[str, typer.Option("--b", metavar="MODEL", help="The other.")],
    out: Annotated[Path, typer.Option(help="The answers, as JSON.")] = Path("ab_test_results.json"),
    report: Annotated[
        Path | None, typer.Option(metavar="FILE.html", help="A page that needs nothing beside it.")
    ] = None,
    judge: Annotated[
        str | None, typer.Option(metavar="JUDGE", help=JUDGES, rich_help_panel=JUDGE)
    ] = None,
    judge_url: Annotated[
        str | None,
        typer.Option(
            help="The OpenAI endpoint of the judging model; the application, if not.",
            rich_help_panel=JUDGE,
        ),
    ] = None,
    judge_key: Annotated[
        str,
        typer.Option(
            envvar="SERVE_APP_JUDGE_KEY",
            show_default=False,
            help="The key for --judge-url.",
            rich_help_panel=JUDGE,
        ),
    ] = "",
    seed: Annotated[
        int, typer.Option(help="Draws the order a person sees answers in.", rich_help_panel=JUDGE)
    ] = 0,
    system: System = None,
    max_tokens: MaxTokens = None,
    temperature: Temperature = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Ask two adapters the same prompts, at once; keep, judge and compare their answers.

    Exit codes: 0 compared, 2 the command line is wrong, 3 packages are missing, 4 nothing answers
    or no prompt was answered by both, 5 the key is refused, 7 there is no such model.
    """
    asked = dict(locals())
    from serve_app.cli import ab_running

    raise typer.Exit(ab_running.run(Options(**asked)))
