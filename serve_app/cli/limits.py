"""``serve-app limits``; ``admin``, imported when a command is run, does the rest."""

from typing import Annotated

import typer

from serve_app.cli.options import URL, AdminKey, Form, Output, Url, limits_of
from serve_app.cli.tenants import TenantId

limits = typer.Typer(help="What a tenant may use at most.", no_args_is_help=True)


@limits.command("show")
def show_limits(
    id_: TenantId, url: Url = URL, api_key: AdminKey = "", output: Form = Output.TEXT
) -> None:
    """The limits of a tenant; what is not shown is not limited."""
    from serve_app.cli import admin

    site, path = admin.Site(url, api_key, output), admin.path("limits", id_)
    raise typer.Exit(admin.tell(site, admin.as_record, "GET", path))


@limits.command("set")
def set_limits(
    id_: TenantId,
    given: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME=AMOUNT",
            help="Such as requests_per_minute=600; none takes a limit away.",
        ),
    ],
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Change the limits that are named; the others stay."""
    from serve_app.cli import admin

    changes, path = limits_of(given, "NAME=AMOUNT"), admin.path("limits", id_)

    def work(api: admin.Admin) -> admin.Json:
        return api.ask("PUT", path, api.ask("GET", path)["limits"] | changes)

    raise typer.Exit(admin.run(admin.Site(url, api_key, output), work, admin.as_record))
