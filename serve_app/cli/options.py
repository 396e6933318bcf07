"""What the options of several commands have in common."""

import sys
from enum import StrEnum
from typing import Annotated

import typer

KEY_VARIABLE = "SERVE_APP_API_KEY"
"""Environment variable that holds the key a command speaks with."""

URL_VARIABLE = "SERVE_APP_URL"
"""Environment variable that says where the application answers."""

URL = "http://127.0.0.1:8000"


class Output(StrEnum):
    """Tables for people, or JSON for programs."""

    TEXT = "text"
    JSON = "json"


Url = Annotated[str, typer.Option(envvar=URL_VARIABLE, help="Where the application answers.")]
AdminKey = Annotated[
    str, typer.Option(envvar=KEY_VARIABLE, show_default=False, help="An admin's key.")
]
ApiKey = Annotated[
    str, typer.Option(envvar=KEY_VARIABLE, show_default=False, help="Your key of the application.")
]
Form = Annotated[Output, typer.Option(help="json: what the application answers.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask whether to.")]
Limit = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME=AMOUNT", help="A limit, such as requests_per_minute=600; none takes it away."
    ),
]


def limits_of(given: list[str] | None, hint: str = "--limit") -> dict[str, int | None]:
    """Limits from the command line, by name; None is no limit.

    Raises:
        typer.BadParameter: one is no ``NAME=AMOUNT``.
    """
    limits: dict[str, int | None] = {}
    for one in given or ():
        name, _, amount = one.partition("=")
        if not name or not (amount == "none" or (amount.isascii() and amount.isdigit())):
            raise typer.BadParameter(f"{one!r} is not like NAME=AMOUNT", param_hint=hint)
        limits[name] = None if amount == "none" else int(amount)
    return limits


def labels_of(given: list[str] | None) -> dict[str, str] | None:
    """Labels from the command line, by name; None if there are none.

    Raises:
        typer.BadParameter: one is no ``NAME=VALUE``.
    """
    pairs = [one.partition("=") for one in given or ()]
    if not all(name and separator for name, separator, _ in pairs):
        raise typer.BadParameter("a label is like team=finance", param_hint="--label")
    return {name: value for name, _, value in pairs} or None


def sure(what: str, yes: bool) -> None:
    """Ask a person whether to do it; a program must say ``--yes``.

    Raises:
        typer.Exit, typer.Abort: it is not to be done.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise typer.BadParameter(f"{what}: say --yes", param_hint="--yes")
    typer.confirm(f"{what}?", abort=True, err=True)
