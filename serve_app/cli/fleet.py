"""The options of ``serve-app fleet``; ``fleet_live``, imported when it is run, does the rest."""

from typing import Annotated

import typer

from serve_app.cli.options import KEY_VARIABLE, Output

URL = "http://127.0.0.1:8000"


def fleet(
    url: Annotated[str, typer.Option(help="Where the application answers.")] = URL,
    api_key: Annotated[
        str, typer.Option(envvar=KEY_VARIABLE, show_default=False, help="An admin's key.")
    ] = "",
    adapter: Annotated[
        str | None,
        typer.Option(help="Only this adapter, of any version or of one, with all that is known."),
    ] = None,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Go on until Ctrl-C.")] = False,
    every: Annotated[
        float, typer.Option(min=0.1, max=3600, help="Seconds from one look to the next.")
    ] = 1.0,
    output: Annotated[
        Output, typer.Option(help="json: what GET /admin/v1/fleet says, a page a line.")
    ] = Output.TEXT,
) -> None:
    """Show a running application's replicas, and where requests went and why.

    Exit codes: 0 shown, 2 the command line is wrong, 4 no application answers, 5 the key is
    refused, 6 what answers is something else.
    """
    from serve_app.cli import fleet_live, watching

    if not api_key:
        raise typer.BadParameter(
            f"give an admin's key, or set {KEY_VARIABLE}; that of configs/demo.yaml is "
            "sk-admin-demo",
            param_hint="--api-key",
        )
    look = fleet_live.Look(url, api_key, adapter)
    raise typer.Exit(fleet_live.fleet(look, watching.Manner(watch, every, output is Output.JSON)))
