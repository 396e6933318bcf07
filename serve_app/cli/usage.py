"""``serve-app usage``; ``admin``, imported when it is run, does the rest."""

from typing import Annotated, Any

import typer

from serve_app.cli.options import URL, AdminKey, Form, Output, Url

_COUNTS = {
    "requests": "requests",
    "prompt_tokens": "prompt tokens",
    "cached_tokens": "of them cached",
    "completion_tokens": "completion tokens",
    "time_to_first_token_s": "first token, s",
    "duration_s": "duration, s",
}


def usage(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only of this adapter.")] = None,
    key: Annotated[str | None, typer.Option(help="Only by this key, by its public id.")] = None,
    since: Annotated[
        str | None, typer.Option("--from", help="A date such as 2026-01-31; 30 days ago, if not.")
    ] = None,
    until: Annotated[str | None, typer.Option("--to", help="A date, which is excluded.")] = None,
    interval: Annotated[str, typer.Option(help="hour, day or total.")] = "total",
    by: Annotated[
        list[str] | None,
        typer.Option(help="tenant, key, adapter, version, arm or outcome; may be repeated."),
    ] = None,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """What tenants have used: requests, tokens and times."""
    from serve_app.cli import admin

    groups = by or ["tenant"]
    columns = {name: name for name in groups} | _COUNTS
    if interval != "total":
        columns = {"start": "from"} | columns
    asked: dict[str, Any] = {
        "tenant": tenant,
        "adapter": adapter,
        "key": key,
        "from": since,
        "to": until,
        "interval": interval,
        "group_by": groups,
        "limit": 10_000,
    }
    site, show = admin.Site(url, api_key, output), admin.as_table("Usage", columns)
    raise typer.Exit(admin.run(site, lambda api: api.ask("GET", "/usage", **asked), show))
