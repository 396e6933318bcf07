"""``serve-app usage``; ``admin``, imported when it is run, does the rest."""

from typing import Annotated, Any

import typer

from serve_app.cli.options import URL, AdminKey, Form, Output, Url
from serve_app.tenancy.usage import By, Interval

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
    interval: Annotated[Interval, typer.Option(help="What a row sums up.")] = Interval.TOTAL,
    by: Annotated[
        list[By] | None, typer.Option(help="A row for each of; may be repeated; tenant, if not.")
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="CSV on standard output.")] = False,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """What tenants have used: requests, tokens and times."""
    from serve_app.cli import admin

    if as_csv and output is Output.JSON:
        raise typer.BadParameter("is not for --output json too", param_hint="--csv")
    groups = [one.value for one in by or [By.TENANT]]
    columns = {name: name for name in groups} | _COUNTS
    if interval is not Interval.TOTAL:
        columns = {"start": "from"} | columns
    asked: dict[str, Any] = {
        "tenant": tenant,
        "adapter": adapter,
        "key": key,
        "from": since,
        "to": until,
        "interval": interval.value,
        "group_by": groups,
    }
    site = admin.Site(url, api_key, output)
    show = admin.as_csv if as_csv else admin.as_table("Usage", columns)
    raise typer.Exit(admin.run(site, lambda api: api.sums(**asked), show))
