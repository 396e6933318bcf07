"""``serve-app key``; ``admin``, imported when a command is run, does the rest."""

import re
from typing import TYPE_CHECKING, Annotated, Any

import typer

from serve_app.cli.options import URL, AdminKey, Form, Limit, Output, Url, Yes, limits_of, sure

if TYPE_CHECKING:
    from rich.console import Console

key = typer.Typer(help="API keys of a running application.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(metavar="KEY", help="The key's public id.")]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print the key alone, for a program to keep.")
]
COLUMNS = {
    "id": "key",
    "tenant": "tenant",
    "label": "label",
    "scopes": "scopes",
    "state": "state",
    "expires": "expires",
    "last_used": "last used",
    "declared": "declared",
}
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "": 1}
_LASTS = re.compile(r"(?P<number>\d{1,9})(?P<unit>[smhd]?)")


@key.command("ls")
def list_keys(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's.")] = None,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Every key, and for 30 days those no longer good."""
    from serve_app.cli import admin

    site, show = admin.Site(url, api_key, output), admin.as_table("Keys", COLUMNS)
    raise typer.Exit(admin.tell_all(site, show, "/keys", tenant=tenant))


@key.command("show")
def show_key(
    id_: KeyId, url: Url = URL, api_key: AdminKey = "", output: Form = Output.TEXT
) -> None:
    """What is known of one key, which is never the key."""
    from serve_app.cli import admin

    site = admin.Site(url, api_key, output)
    raise typer.Exit(admin.tell(site, admin.as_record, "GET", admin.path("keys", id_)))


@key.command("create")
def create_key(
    tenant: Annotated[str, typer.Argument(metavar="TENANT")],
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    scope: Annotated[
        list[str] | None,
        typer.Option(help="inference, adapters:manage, usage:read or admin; may be repeated."),
    ] = None,
    expires_in: Annotated[
        str | None, typer.Option(metavar="TIME", help="Such as 90d, 12h or 600s; never, if not.")
    ] = None,
    limit: Limit = None,
    quiet: Quiet = False,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Make a key for TENANT. It is shown once, now."""
    from serve_app.cli import admin

    body: dict[str, Any] = {"tenant": tenant, "label": label, "limits": limits_of(limit)}
    if scope:
        body["scopes"] = scope
    if expires_in:
        body["expires_in_s"] = seconds(expires_in, "--expires-in")
    site = admin.Site(url, api_key, output)
    raise typer.Exit(admin.tell(site, _alone if quiet else _once, "POST", "/keys", body))


@key.command("rotate")
def rotate_key(
    id_: KeyId,
    overlap: Annotated[
        str, typer.Option(metavar="TIME", help="For how long the old key goes on.")
    ] = "24h",
    quiet: Quiet = False,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Make a key on the same terms; KEY goes on for a while. It is shown once, now."""
    from serve_app.cli import admin

    site, body = admin.Site(url, api_key, output), {"overlap_s": seconds(overlap, "--overlap")}
    show = _alone if quiet else _once
    raise typer.Exit(admin.tell(site, show, "POST", admin.path("keys", id_, "rotate"), body))


@key.command("rm")
def revoke_key(
    id_: KeyId,
    yes: Yes = False,
    url: Url = URL,
    api_key: AdminKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Revoke a key: within a second no gateway takes it any more."""
    from serve_app.cli import admin

    sure(f"Revoke key {id_}", yes)
    site, done = admin.Site(url, api_key, output), admin.as_word(f"{id_} is revoked")
    raise typer.Exit(admin.tell(site, done, "DELETE", admin.path("keys", id_)))


def seconds(given: str, option: str) -> int:
    """Seconds of ``90d``, ``12h``, ``5m``, ``600s`` or ``600``.

    Raises:
        typer.BadParameter: it is no such time.
    """
    found = _LASTS.fullmatch(given)
    if found is None:
        raise typer.BadParameter(f"{given!r} is not like 90d, 12h or 600s", param_hint=option)
    return int(found["number"]) * _UNITS[found["unit"]]


def _once(console: "Console", made: dict[str, Any]) -> None:
    from rich.console import Console

    console.print(made["key"], markup=False, highlight=False, soft_wrap=True)
    Console(stderr=True).print(
        f"Key {made['id']} of {made['tenant']}: keep it now, it is not shown again."
    )


def _alone(console: "Console", made: dict[str, Any]) -> None:
    console.print(made["key"], markup=False, highlight=False, soft_wrap=True)
