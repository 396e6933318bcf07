"""What an application is asked of adapters. Pure."""

from collections.abc import Mapping, Sequence
from typing import TypedDict

from serve_app.client.records import Lora, LoraPage, LoraVersion, LoraVersionPage, Page
from serve_app.client.request import Request, named, path

PAGE = 1000
"""Adapters asked for at once, which is as many as are answered at once."""


class Terms(TypedDict, total=False):
    """On which terms an adapter is registered.

    Attributes:
        owner: the tenant whose it is.
        grants: tenants that may use it.
        preload: load it before anybody asks.
        pin: keep it resident.
        digest: refuse other content.
        wait: return when it answers everywhere, unless False: then at once, with how far it has
            come.
    """

    owner: str | None
    grants: Sequence[str] | None
    description: str | None
    labels: Mapping[str, str] | None
    preload: bool | None
    pin: bool | None
    digest: str | None
    wait: bool


def every() -> Request[Page[Lora]]:
    """The adapters, by name."""
    return Request("get", path("lora"), LoraPage, query={"limit": PAGE})


def one(lora_name: str) -> Request[Lora]:
    """An adapter."""
    return Request("get", path("lora", lora_name), Lora)


def register(lora_name: str, lora_path: str, terms: Terms) -> Request[Lora]:
    """An adapter, or new content for one. What is None stays as it is there."""
    body = {"lora_name": lora_name, "lora_path": lora_path, "wait": True, **named(**terms)}
    return Request("post", path("lora", "register"), Lora, body)


def unregister(lora_name: str) -> Request[Lora]:
    """That there be no such adapter."""
    return Request("delete", path("lora", lora_name), Lora)


def versions(lora_name: str) -> Request[Page[LoraVersion]]:
    """What an adapter has been."""
    return Request("get", path("lora", lora_name, "versions"), LoraVersionPage)


def rollback(lora_name: str, version: int | str | None) -> Request[Lora]:
    """Another version in force; None leaves it to the application which."""
    return Request("post", path("lora", lora_name, "rollback"), Lora, _which(version))


def set_alias(lora_name: str, alias: str, version: int | str | None) -> Request[Lora]:
    """A further name for a version; None leaves it to the application which."""
    return Request("put", path("lora", lora_name, "aliases", alias), Lora, _which(version))


def remove_alias(lora_name: str, alias: str) -> Request[Lora]:
    """A further name less."""
    return Request("delete", path("lora", lora_name, "aliases", alias), Lora)


def _which(version: int | str | None) -> dict[str, int | str] | None:
    return None if version is None else {"version": version}
