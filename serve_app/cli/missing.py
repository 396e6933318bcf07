"""Commands whose packages are not installed say so, and what to install."""

from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

from serve_app.cli.exits import MACHINE_UNFIT

EXTRAS: Mapping[str, str] = {
    "jinja2": "serve-app[report]",
    "matplotlib": "serve-app[report]",
    "scipy": "serve-app[report]",
}
SERVER = "serve-app[cpu] or serve-app[gpu]"


class Commands(TyperGroup):
    """The commands. What one imports at its use and does not find ends it."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except ModuleNotFoundError as missing:
            package = (missing.name or "").partition(".")[0]
            if package in ("", "serve_app"):
                raise
            typer.echo(f"error: {advice(package)}", err=True)
            raise typer.Exit(MACHINE_UNFIT) from None


def advice(package: str) -> str:
    """What to do where a package is missing."""
    return (
        f"this command needs {package}, which is not installed here: install "
        f"{EXTRAS.get(package, SERVER)}"
    )
