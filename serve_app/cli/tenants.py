"""``serve-app tenant`` and ``serve-app grant``; ``admin``, imported when run, does the rest."""

from typing import Annotated, Any

import typer

from serve_app.cli.options import URL, AdminKey, Form, Limit, Output, Url, Yes, limits_of, sure

tenant = typer.Typer(help="Tenants of a running application.", no_args_is_help=True)
grant = typer.Typer(help="Which tenant may use whose adapter.", no_args_is_help=True)

TenantId = Annotated[str, typer.Argument(metavar="TENANT")]
AdapterName = Annotated[str, typer.Argument(metavar="ADAPTER")]
COLUMNS = {
    "id": "tenant",
    "enabled": "enabled",
    "keys": "keys",
    "default_adapter": "default adapter",
    "base": "base",
    "weight": "weight",
    "limits": "limits",
    "declared": "declared",
}
_KEPT = ("description", "adapters", "default_adapter", "base", "enabled", "weight")


@tenant.command("ls")
def list_tenants(url: Url = URL, api_key: AdminKey = "", output: Form = Output.TEXT) -> None:
    """Every tenant."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    raise typer.Exit(admin.tell_all(site, admin.as_table("Tenants", COLUMNS), "/tenants"))


@tenant.command("show")
def show_tenant(
    id_: TenantId, url: Url = URL, api_key: AdminKey = "", output: Form = Output.TEXT
) -> None:
    """One tenant."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    raise typer.Exit(admin.tell(site, admin.as_record, "GET", admin.path("tenants", id_)))


@tenant.command("set")
def set_tenant(
    id_: TenantId,
    description: Annotated[str | None, typer.Option(help="Words about it.")] = None,
    adapter: Annotated[
        list[str] | None, typer.Option(help="An adapter it may use; * is every one.")
    ] = None,
    default_adapter: Annotated[
        str | None, typer.Option(help="Answers when a request names none.")
    ] = None,
    base: Annotated[bool | None, typer.Option(help="May the bare base answer?")] = None,
    enabled: Annotated[bool | None, typer.Option("--enabled/--disabled")] = None,
    weight: Annotated[
        float | None, typer.Option(help="Its share of a saturated fleet, relative to others'.")
    ] = None,
    limit: Limit = None,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Make a tenant, or change what is named of one; the rest stays, each limit too."""
    from serve_app.cli import admin

    named: dict[str, Any] = {
        "description": description,
        "adapters": adapter,
        "default_adapter": default_adapter,
        "base": base,
        "enabled": enabled,
        "weight": weight,
    }
    changes = {name: value for name, value in named.items() if value is not None}
    limits, path = limits_of(limit), admin.path("tenants", id_)

    def work(api: admin.Admin) -> admin.Json:
        there = api.find(path) or {}
        kept = {name: there[name] for name in _KEPT if name in there}
        all_limits = there.get("limits", {}) | limits
        return api.ask("PUT", path, kept | changes | {"limits": all_limits})

    raise typer.Exit(admin.run(admin.Site(url, api_key, output), work, admin.as_record))


@tenant.command("rm")
def remove_tenant(
    id_: TenantId,
    yes: Yes = False,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Take a tenant away, with its keys and the grants to it."""
    from serve_app.cli import admin

    sure(f"Remove tenant {id_} and revoke its keys", yes)
    site = admin.Site(url, api_key, output)
    done = admin.as_word(f"{id_} is removed")
    raise typer.Exit(admin.tell(site, done, "DELETE", admin.path("tenants", id_)))


@grant.command("ls")
def list_grants(
    of: Annotated[str | None, typer.Option("--tenant", help="Only to this tenant.")] = None,
    adapter: Annotated[str | None, typer.Option(help="Only of this adapter.")] = None,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Every grant."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    show = admin.as_table("Grants", {"adapter": "adapter", "tenant": "tenant"})
    raise typer.Exit(admin.tell_all(site, show, "/grants", tenant=of, adapter=adapter))


@grant.command("add")
def add_grant(
    adapter: AdapterName,
    to: TenantId,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Let TENANT use ADAPTER."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    done = admin.as_word(f"{to} may use {adapter}")
    raise typer.Exit(admin.tell(site, done, "PUT", admin.path("grants", adapter, to)))


@grant.command("rm")
def remove_grant(
    adapter: AdapterName,
    to: TenantId,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Let TENANT use ADAPTER no longer."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    done = admin.as_word(f"{to} may not use {adapter} any more")
    raise typer.Exit(admin.tell(site, done, "DELETE", admin.path("grants", adapter, to)))
