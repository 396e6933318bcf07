"""``serve-app lora``; ``sdk`` and ``loras``, imported when a command is run, do the rest."""

from typing import TYPE_CHECKING, Annotated

import typer

from serve_app.cli.options import URL, ApiKey, Form, Output, Url, Yes, labels_of, sure

if TYPE_CHECKING:
    from serve_app.cli.admin import Json
    from serve_app.client import LoraClient

lora = typer.Typer(help="Adapters of a running application.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The adapter's name.")]


@lora.command("ls")
def list_loras(
    live: Annotated[bool, typer.Option("--live", help="Only those that answer now.")] = False,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """The adapters you may use, and where they are."""
    from serve_app.cli import admin, loras, sdk

    def work(client: "LoraClient") -> "Json":
        return loras.page(client.list_available_loras() if live else client.loras())

    raise typer.Exit(sdk.run(admin.Site(url, api_key, output), work, loras.as_table))


@lora.command("info")
def show_lora(name: Name, url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT) -> None:
    """One adapter, and the replicas that hold it."""
    from serve_app.cli import admin, loras, sdk

    site = admin.Site(url, api_key, output)
    raise typer.Exit(sdk.run(site, lambda client: loras.told(client.lora(name)), loras.as_record))


@lora.command("register")
def register_lora(
    name: Name,
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="A directory or an address the application takes adapters from."
        ),
    ],
    owner: Annotated[str | None, typer.Option(help="The tenant whose it is.")] = None,
    grant: Annotated[
        list[str] | None, typer.Option(help="A tenant that may use it; may be repeated.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="Words about it.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(metavar="NAME=VALUE", help="May be repeated.")
    ] = None,
    preload: Annotated[
        bool | None, typer.Option("--preload/--no-preload", help="Load it before anybody asks.")
    ] = None,
    pin: Annotated[bool | None, typer.Option("--pin/--no-pin", help="Keep it resident.")] = None,
    digest: Annotated[str | None, typer.Option(help="Refuse other content.")] = None,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Until it answers everywhere.")
    ] = True,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Register an adapter, or new content for one. What is not named stays as it is."""
    from serve_app.cli import admin, loras, sdk

    site, labels = admin.Site(url, api_key, output), labels_of(label)

    def work(client: "LoraClient") -> "Json":
        with loras.progress(client, name):
            return loras.told(
                client.register_lora(
                    name,
                    path,
                    owner=owner,
                    grants=grant or None,
                    description=description,
                    labels=labels,
                    preload=preload,
                    pin=pin,
                    digest=digest,
                    wait=wait,
                )
            )

    raise typer.Exit(sdk.run(site, work, loras.as_record, sdk.REGISTER_S))


@lora.command("rm")
def remove_lora(
    name: Name,
    yes: Yes = False,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Remove an adapter: it stops answering at once, and is deleted when nobody uses it."""
    from serve_app.cli import admin, loras, sdk

    sure(f"Remove adapter {name}", yes)
    site, done = admin.Site(url, api_key, output), admin.as_word(f"{name} is removed")
    raise typer.Exit(sdk.run(site, lambda client: loras.told(client.unregister_lora(name)), done))


@lora.command("versions")
def list_versions(
    name: Name, url: Url = URL, api_key: ApiKey = "", output: Form = Output.TEXT
) -> None:
    """Every version an adapter has had, newest first."""
    from serve_app.cli import admin, loras, sdk

    site = admin.Site(url, api_key, output)
    raise typer.Exit(
        sdk.run(site, lambda client: loras.page(client.versions(name)), loras.as_versions)
    )


@lora.command("rollback")
def roll_back(
    name: Name,
    to: Annotated[
        str | None,
        typer.Option(metavar="VERSION", help="A number or a digest; the version before, if not."),
    ] = None,
    url: Url = URL,
    api_key: ApiKey = "",
    output: Form = Output.TEXT,
) -> None:
    """Put another version of an adapter in force at once."""
    from serve_app.cli import admin, loras, sdk

    site = admin.Site(url, api_key, output)
    version = int(to) if to and to.isascii() and to.isdigit() and len(to) < 10 else to
    raise typer.Exit(
        sdk.run(site, lambda client: loras.told(client.rollback(name, version)), loras.as_record)
    )
