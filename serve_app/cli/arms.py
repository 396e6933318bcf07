"""Arms, weights and shares as they stand on a command line. Pure."""

from collections.abc import Sequence
from math import isfinite
from typing import Any

import typer


def arms_of(
    models: Sequence[str], weights: Sequence[str], shadows: Sequence[str]
) -> list[dict[str, Any]]:
    """The arms of a new experiment.

    Args:
        models: each ``NAME=MODEL``.
        weights, shadows: each ``NAME=NUMBER`` of one of those names.

    Raises:
        typer.BadParameter: one is not like that.
    """
    pairs = [_pair(one, "a=finance@v1", "--arm") for one in models]
    arms: dict[str, dict[str, Any]] = {
        name: {"name": name, "model": model} for name, model in pairs
    }
    if len(arms) < len(pairs):
        raise typer.BadParameter("two arms have the same name", param_hint="--arm")
    for field, given in (("weight", weights), ("shadow", shadows)):
        for name, number in numbers_of(given, f"--{field}").items():
            if name not in arms:
                raise typer.BadParameter(f"there is no arm {name!r}", param_hint=f"--{field}")
            arms[name][field] = number
    return list(arms.values())


def numbers_of(given: Sequence[str], hint: str) -> dict[str, float]:
    """Numbers by the names of arms, each given as ``NAME=NUMBER``.

    Raises:
        typer.BadParameter: one is not like that.
    """
    pairs = [_pair(one, "b=0.5", hint) for one in given]
    return {name: _number(text, "b=0.5", hint) for name, text in pairs}


def share_of(given: str) -> float:
    """A share of all units, given as ``20%`` or ``0.2``.

    Raises:
        typer.BadParameter: it is none, or nothing is left of it for the other arms.
    """
    hint, number = "SHARE", given.removesuffix("%")
    share = _number(number, "20% or 0.2", hint) / (100 if given != number else 1)
    if not 0 <= share < 1:
        raise typer.BadParameter(f"{given!r} is not from 0 to less than 100%", param_hint=hint)
    return share


def percent(share: float) -> str:
    """A share for people: ``12.5%``."""
    return f"{100 * share:.3g}%"


def _pair(given: str, like: str, hint: str) -> tuple[str, str]:
    name, _, value = given.partition("=")
    if not name or not value:
        raise typer.BadParameter(f"{given!r} is not like {like}", param_hint=hint)
    return name, value


def _number(given: str, like: str, hint: str) -> float:
    try:
        number = float(given)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise typer.BadParameter(f"{given!r} is no number, as in {like}", param_hint=hint)
    return number
