"""The options of ``serve-app calibrate``; ``calibrating``, imported at use, does the rest."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from serve_app.cli.options import KEY_VARIABLE, Output


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for; units as in the help. None is what is left to find out."""

    config: Path
    url: str | None
    api_key: str | None
    out: Path
    kv_tokens: int
    adapters: int
    seconds: float
    rate: float | None
    zipf: float
    prompt: int
    answer: int
    spread: float
    seed: int
    first_token_s: float
    per_token_s: float
    output: Output


RUNNING, TRIAL = "A replica that runs already", "Trial: real beside simulated"

Config = Annotated[Path, typer.Argument(metavar="CONFIG", help="A Ray Serve config file (YAML).")]
Url = Annotated[
    str | None,
    typer.Option(
        help="Measure the one replica that serves CONFIG here, and start nothing. Its adapters "
        "may be in use; best when it is idle.",
        rich_help_panel=RUNNING,
    ),
]
Key = Annotated[
    str | None,
    typer.Option(
        envvar=KEY_VARIABLE,
        help="A key that may use several adapters; CONFIG's own if none is given.",
        rich_help_panel=RUNNING,
    ),
]
Out = Annotated[Path, typer.Option(help="The file for serve-app simulate --machine.")]
KvTokens = Annotated[
    int, typer.Option(min=1, help="Tokens in the KV cache, as vLLM says when it starts.")
]
Adapters = Annotated[int, typer.Option(min=1, help="Adapters to use at most.")]
Seconds = Annotated[
    float, typer.Option(min=2.0, max=600, help="How long it lasts.", rich_help_panel=TRIAL)
]
Rate = Annotated[
    float | None,
    typer.Option(
        min=0.01, help="Requests a second; four tenths of capacity.", rich_help_panel=TRIAL
    ),
]
Zipf = Annotated[float, typer.Option(min=0, help="Exponent of popularity.", rich_help_panel=TRIAL)]
Prompt = Annotated[
    int, typer.Option(min=1, help="Median tokens of a prompt.", rich_help_panel=TRIAL)
]
Answer = Annotated[
    int, typer.Option(min=2, help="Median tokens of an answer.", rich_help_panel=TRIAL)
]
Spread = Annotated[
    float,
    typer.Option(min=0, help="Deviation of both lengths' logarithm.", rich_help_panel=TRIAL),
]
Seed = Annotated[int, typer.Option(help="Of the requests.", rich_help_panel=TRIAL)]
FirstToken = Annotated[
    float, typer.Option(min=0.001, help="Goal: s to the first token.", rich_help_panel=TRIAL)
]
PerToken = Annotated[
    float, typer.Option(min=0.001, help="Goal: s a token after it.", rich_help_panel=TRIAL)
]
OutputOption = Annotated[Output, typer.Option(help="What to print.")]


def calibrate(
    config: Config,
    url: Url = None,
    api_key: Key = None,
    out: Out = Path("machine.json"),
    kv_tokens: KvTokens = 60_000,
    adapters: Adapters = 12,
    seconds: Seconds = 40.0,
    rate: Rate = None,
    zipf: Zipf = 1.0,
    prompt: Prompt = 100,
    answer: Answer = 40,
    spread: Spread = 0.6,
    seed: Seed = 1,
    first_token_s: FirstToken = 1.0,
    per_token_s: PerToken = 0.05,
    output: OutputOption = Output.TEXT,
) -> None:
    """Measure a real replica, write it down as a machine for serve-app simulate, and try it.

    Starts one replica of CONFIG on a free port, with a registry of its own, and ends it again.
    Then real and simulated replica get the same requests, and both are printed, with the error.
    Exit codes: 0 written, 1 the application failed, 2 something given is wrong, 4 no application
    answers, 5 the key is refused.
    """
    asked = dict(locals())
    from serve_app.cli import calibrating

    raise typer.Exit(calibrating.calibrate(Options(**asked)))
