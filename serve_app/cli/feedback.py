"""``serve-app feedback``; ``sdk`` and ``experiments``, imported when it is run, do the rest."""

from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import URL, ApiKey, Form, Output, Url, labels_of

if TYPE_CHECKING:
    from serve_app.cli.admin import Json
    from serve_app.client import LoraClient


def feedback(
    request_id: Annotated[
        str, typer.Argument(metavar="REQUEST_ID", help="The answer's x-request-id, or its own id.")
    ],
    score: Annotated[
        float | None, typer.Option(min=-1, max=1, help="-1 to 1; more is better.")
    ] = None,
    preferred_over: Annotated[
        str | None, typer.Option(metavar="REQUEST_ID", help="An answer it is better than.")
    ] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Say what somebody thought of an answer; said again, it replaces what was said before."""
    from serve_app.cli import admin, experiments, sdk

    if (score is None) == (preferred_over is None):
        raise typer.BadParameter("give one of --score and --preferred-over", param_hint="--score")
    labels = labels_of(label)

    def work(client: "LoraClient") -> "Json":
        return experiments.told(
            client.feedback(request_id, score, preferred_over=preferred_over, labels=labels)
        )

    raise typer.Exit(sdk.run(admin.Site(url, api_key, output), work, experiments.as_feedback))
