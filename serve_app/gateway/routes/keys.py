"""API keys while it runs: make, rotate, revoke. Needs an admin key.

A key is in the answer that makes it, and nowhere after.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field, Strict

from serve_app.gateway.routes.bodies import Body, LimitsBody, Name, Text
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.gateway.routes.queries import After, AskedName, Page
from serve_app.tenancy.commands import ChangeKey, ListKeys, MakeKey, RevokeKey, RotateKey, ShowKey
from serve_app.tenancy.keys import Scope

router = APIRouter(
    prefix="/admin/v1/keys",
    tags=["admin"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.ADMIN)],
)

LONGEST_S = 100 * 366 * 86_400
MADE: dict[int | str, dict[str, Any]] = {201: {"description": "The key, shown this once as `key`."}}
KeyId = Annotated[str, Path(description="The key's public id.", max_length=200)]
Scopes = Annotated[frozenset[Annotated[Scope, Strict(False)]], Field(min_length=1), Strict(False)]
"""JSON has neither sets nor enumerations: a list of texts is one."""


class KeyBody(Body):
    """What a key is for."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {"tenant": "acme", "label": "billing job", "scopes": ["usage:read"]}
        },
    )

    tenant: Name
    label: Text = ""
    scopes: Scopes = frozenset({Scope.INFERENCE})
    expires_in_s: int | None = Field(default=None, ge=1, le=LONGEST_S)
    limits: LimitsBody = LimitsBody()


class KeyTerms(Body):
    """What a key is for, whole: what is left out is as here."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"label": "chat app", "scopes": ["inference"]}},
    )

    label: Text = ""
    scopes: Scopes = frozenset({Scope.INFERENCE})
    expires: int | None = Field(default=None, ge=0, le=2**53)
    limits: LimitsBody = LimitsBody()


class RotateBody(Body):
    """For how long, in seconds, the old key goes on."""

    model_config = ConfigDict(json_schema_extra={"example": {"overlap_s": 3600}})

    overlap_s: int = Field(default=86_400, ge=0, le=LONGEST_S)


@router.get("")
async def list_keys(
    caller: TheCaller,
    tenant: AskedName = None,
    limit: Page = 100,
    after: After = None,
) -> Response:
    """Keys by id, those of the configuration included, and for 30 days those no longer good."""
    return await caller.does(ListKeys(caller.actor, tenant, limit, after))


@router.post("", responses=MADE, status_code=201)
async def make_key(body: KeyBody, caller: TheCaller) -> Response:
    """A new key for a tenant."""
    return _once(
        await caller.does(
            MakeKey(
                caller.actor,
                body.tenant,
                body.label,
                body.scopes,
                body.expires_in_s,
                body.limits.limits,
            )
        )
    )


@router.get("/{key}")
async def show_key(key: KeyId, caller: TheCaller) -> Response:
    """One key, by its public id."""
    return await caller.does(ShowKey(caller.actor, key))


@router.put("/{key}")
async def change_key(key: KeyId, body: KeyTerms, caller: TheCaller) -> Response:
    """Other terms for a key; it stays the same word."""
    limits = body.limits.limits
    return await caller.does(
        ChangeKey(caller.actor, key, body.label, body.scopes, body.expires, limits)
    )


@router.post("/{key}/rotate", responses=MADE, status_code=201)
async def rotate_key(key: KeyId, caller: TheCaller, body: RotateBody | None = None) -> Response:
    """A new key on the same terms; the old one goes on for a while."""
    overlap_s = (body or RotateBody()).overlap_s
    return _once(await caller.does(RotateKey(caller.actor, key, overlap_s)))


@router.delete("/{key}")
async def revoke_key(key: KeyId, caller: TheCaller) -> Response:
    """It opens nothing any more, on any gateway, within a second."""
    return await caller.does(RevokeKey(caller.actor, key))


def _once(response: Response) -> Response:
    """What nobody on the way may keep."""
    response.headers["cache-control"] = "no-store"
    return response
