"""The judge that ``serve-app ab run --judge`` names."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import openai
import typer
from openai import AsyncOpenAI

from serve_app.cli.ab import Options
from serve_app.client import ExactMatch, HumanJudge, Judge, ModelJudge, RegexMatch

HUMAN = "human"


def judge_of(
    options: Options, prompts: Sequence[str], application: Callable[[], AsyncOpenAI]
) -> Judge | None:
    """The judge; None if nobody is to judge.

    Args:
        application: makes a client of the application.

    Raises:
        typer.BadParameter: it names none.
    """
    if options.judge is None:
        return None
    kind, _, named = options.judge.partition(":")
    if options.judge == HUMAN:
        return HumanJudge(Random(options.seed))
    if named and kind == "exact":
        return ExactMatch(_expected(named, prompts))
    if named and kind == "regex":
        return RegexMatch(_pattern(named))
    if named and kind == "model":
        return ModelJudge(_endpoint(options, application), named)
    raise _wrong(f"{options.judge!r} is not exact:, regex: or model: and something, or human")


def _expected(named: str, prompts: Sequence[str]) -> str | dict[str, str]:
    if not named.startswith("@"):
        return named
    try:
        lines = Path(named[1:]).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _wrong(f"{named[1:]}: {error}") from None
    expected = [line for line in lines if line.strip()]
    if len(expected) != len(prompts):
        raise _wrong(f"{named[1:]} has {len(expected)} lines for {len(prompts)} prompts")
    return dict(zip(prompts, expected, strict=True))


def _pattern(named: str) -> re.Pattern[str]:
    try:
        return re.compile(named)
    except re.error as error:
        raise _wrong(f"{named!r} is no regular expression: {error}") from None


def _endpoint(options: Options, application: Callable[[], AsyncOpenAI]) -> AsyncOpenAI:
    """The key of the application is not told to another endpoint."""
    if options.judge_url is None:
        return application()
    if not options.judge_key:
        raise typer.BadParameter("give the key for --judge-url", param_hint="--judge-key")
    return openai.AsyncOpenAI(base_url=options.judge_url, api_key=options.judge_key)


def _wrong(message: str) -> typer.BadParameter:
    return typer.BadParameter(message, param_hint="--judge")
