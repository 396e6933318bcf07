"""`python -m serve_app.demo [ROOT]`: make the demo model unless it is there; print its folders."""

from pathlib import Path
from typing import Annotated

import typer

from serve_app.demo.build import DemoFailed, build


def main(
    root: Annotated[Path, typer.Argument(help="Folder to hold the model.")] = Path(".demo"),
    force: Annotated[bool, typer.Option("--force", help="Make it again if it is there.")] = False,
    seed: Annotated[int, typer.Option(help="What all randomness comes from.")] = 0,
) -> None:
    """Make the demo model: a tiny base and LoRA adapters that answer in words of their own."""
    try:
        model = build(root, seed, force=force)
    except DemoFailed as failure:
        typer.echo(f"error: {failure}", err=True)
        raise typer.Exit(1) from failure
    typer.echo(f"base\t{model.base}")
    for name, folder in model.adapters.items():
        typer.echo(f"{name}\t{folder}")


if __name__ == "__main__":
    typer.run(main)
