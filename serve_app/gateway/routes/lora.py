"""Adapters while it runs: register, list, versions, roll back, alias, remove.

Each route turns HTTP into a command for control and control's answer into HTTP; what may be done,
and by whom, is control's to say.
"""

from typing import Annotated

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field, PlainValidator

from serve_app.adapters.commands import (
    Actor,
    List,
    PutAlias,
    Register,
    Remove,
    RemoveAlias,
    Rollback,
    Show,
    ShowVersions,
)
from serve_app.gateway.routes.bodies import Body, LongText, Name, Source, Text
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.gateway.routes.queries import After, Page
from serve_app.tenancy.keys import Scope

router = APIRouter(
    tags=["adapters"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.INFERENCE, Scope.ADAPTERS_MANAGE)],
)

AdapterName = Annotated[str, Path(description="The adapter's name.", max_length=200)]
MANAGING = [needs(Scope.ADAPTERS_MANAGE)]


def _version(given: object) -> int | str | None:
    if given is None or type(given) is int or (isinstance(given, str) and given.isprintable()):
        return given
    raise ValueError("give a number such as 2, or a text such as v2 or a digest")


class RegisterBody(Body):
    """A new adapter, or new content for one. What is left out stays as it is."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"lora_name": "acme-finance-lora", "lora_path": "/adapters/acme-finance-v2"}
        },
    )

    lora_name: Name
    lora_path: Source
    owner: Name | None = None
    grants: list[Name] | None = Field(default=None, max_length=1000)
    description: LongText | None = None
    labels: dict[Text, Text] | None = Field(default=None, max_length=32)
    preload: bool | None = None
    pin: bool | None = None
    digest: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    wait: bool = True

    def command(self, actor: Actor) -> Register:
        return Register(
            actor=actor,
            name=self.lora_name,
            source=self.lora_path,
            owner=self.owner,
            grants=None if self.grants is None else frozenset(self.grants),
            description=self.description,
            labels=self.labels,
            preload=self.preload,
            pin=self.pin,
            digest=self.digest,
            wait=self.wait,
        )


class VersionBody(Body):
    """Which version: its number, ``v2``, or at least 12 digits of its digest."""

    version: Annotated[
        int | str | None, PlainValidator(_version, json_schema_input_type=int | str | None)
    ] = None

    @property
    def spec(self) -> str | None:
        return f"v{self.version}" if isinstance(self.version, int) else self.version


@router.post(
    "/v1/lora/register", dependencies=MANAGING, responses={202: {"description": "It is under way."}}
)
async def register(body: RegisterBody, caller: TheCaller) -> Response:
    """Check an adapter and make it usable everywhere: 200 once it is, 202 without ``wait``."""
    return await caller.does(body.command(caller.actor))


@router.get("/v1/lora")
async def list_adapters(
    caller: TheCaller,
    limit: Page = 100,
    after: After = None,
) -> Response:
    """The caller's adapters by name: version, state, and the replicas that hold them."""
    return await caller.does(List(caller.actor, limit, after))


@router.get("/v1/lora/{name}")
async def show(name: AdapterName, caller: TheCaller) -> Response:
    """One adapter."""
    return await caller.does(Show(caller.actor, name))


@router.get("/v1/lora/{name}/versions")
async def versions(name: AdapterName, caller: TheCaller) -> Response:
    """Every version an adapter has had, newest first."""
    return await caller.does(ShowVersions(caller.actor, name))


@router.post("/v1/lora/{name}/rollback", dependencies=MANAGING)
async def roll_back(
    name: AdapterName, caller: TheCaller, body: VersionBody | None = None
) -> Response:
    """Put another version in force at once; without one, that which was before."""
    spec = body.spec if body else None
    return await caller.does(Rollback(caller.actor, name, spec))


@router.put("/v1/lora/{name}/aliases/{alias}", dependencies=MANAGING)
async def put_alias(
    name: AdapterName, alias: AdapterName, caller: TheCaller, body: VersionBody | None = None
) -> Response:
    """Let a further name mean one version, the one in force if none is given."""
    spec = body.spec if body else None
    return await caller.does(PutAlias(caller.actor, name, alias, spec))


@router.delete("/v1/lora/{name}/aliases/{alias}", dependencies=MANAGING)
async def remove_alias(name: AdapterName, alias: AdapterName, caller: TheCaller) -> Response:
    """Take a further name away."""
    return await caller.does(RemoveAlias(caller.actor, name, alias))


@router.delete("/v1/lora/{name}", dependencies=MANAGING)
async def remove(name: AdapterName, caller: TheCaller) -> Response:
    """Stop resolving an adapter at once; it is drained, unloaded from every engine and deleted."""
    return await caller.does(Remove(caller.actor, name))
