"""Tenants, what they may use and what is granted to them, while it runs. Needs an admin key.

Each route turns HTTP into a command for control and control's answer into HTTP.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from pydantic import ConfigDict, Field

from serve_app.gateway.routes.bodies import Body, LimitsBody, LongText, Name
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.gateway.routes.queries import After, AskedName, Page
from serve_app.tenancy.commands import (
    ListGrants,
    ListTenants,
    PutGrant,
    PutLimits,
    PutTenant,
    RemoveGrant,
    RemoveTenant,
    ShowLimits,
    ShowTenant,
)
from serve_app.tenancy.keys import Scope

router = APIRouter(
    prefix="/admin/v1",
    tags=["admin"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.ADMIN)],
)

TenantId = Annotated[str, Path(description="The tenant's id.", max_length=200)]
AdapterName = Annotated[str, Path(description="The adapter's name.", max_length=200)]


class TenantBody(Body):
    """A tenant, whole: what is left out is as here."""

    model_config = ConfigDict(
        json_schema_extra={
            "example": {
                "description": "Acme Corp, finance",
                "default_adapter": "acme-finance-lora",
                "weight": 2,
                "limits": {"requests_per_minute": 600},
            }
        },
    )

    description: LongText = ""
    adapters: list[Name] = Field(default=[], max_length=1000)
    default_adapter: Name | None = None
    base: bool = False
    enabled: bool = True
    weight: float = Field(default=1.0, ge=0.01, le=1000, allow_inf_nan=False)
    limits: LimitsBody = LimitsBody()


@router.get("/tenants")
async def list_tenants(caller: TheCaller, limit: Page = 100, after: After = None) -> Response:
    """Every tenant by id, those of the configuration included."""
    return await caller.does(ListTenants(caller.actor, limit, after))


@router.get("/tenants/{tenant}")
async def show_tenant(tenant: TenantId, caller: TheCaller) -> Response:
    """One tenant."""
    return await caller.does(ShowTenant(caller.actor, tenant))


@router.put("/tenants/{tenant}", responses={201: {"description": "It is new."}})
async def put_tenant(tenant: TenantId, body: TenantBody, caller: TheCaller) -> Response:
    """Make a tenant, or change one: it is what the body says, whole."""
    given: dict[str, Any] = body.model_dump(exclude={"limits", "adapters"})
    adapters, limits = frozenset(body.adapters), body.limits.limits
    return await caller.does(
        PutTenant(caller.actor, tenant, **given, adapters=adapters, limits=limits)
    )


@router.delete("/tenants/{tenant}")
async def remove_tenant(tenant: TenantId, caller: TheCaller) -> Response:
    """Take a tenant away, with its keys and the grants to it. One that owns adapters stays."""
    return await caller.does(RemoveTenant(caller.actor, tenant))


@router.get("/limits/{tenant}")
async def show_limits(tenant: TenantId, caller: TheCaller) -> Response:
    """What a tenant may use, uses now, and may still use, over all gateways."""
    return await caller.does(ShowLimits(caller.actor, tenant))


@router.put("/limits/{tenant}")
async def put_limits(tenant: TenantId, body: LimitsBody, caller: TheCaller) -> Response:
    """Put these limits in place of all that the tenant has."""
    return await caller.does(PutLimits(caller.actor, tenant, body.limits))


@router.get("/grants")
async def list_grants(
    caller: TheCaller,
    tenant: AskedName = None,
    adapter: AskedName = None,
    limit: Page = 100,
    after: After = None,
) -> Response:
    """Which tenant may use which adapter that is not its own."""
    return await caller.does(ListGrants(caller.actor, adapter, tenant, limit, after))


@router.put("/grants/{adapter}/{tenant}")
async def put_grant(adapter: AdapterName, tenant: TenantId, caller: TheCaller) -> Response:
    """Let a tenant use an adapter."""
    return await caller.does(PutGrant(caller.actor, adapter, tenant))


@router.delete("/grants/{adapter}/{tenant}")
async def remove_grant(adapter: AdapterName, tenant: TenantId, caller: TheCaller) -> Response:
    """Let it use the adapter no longer."""
    return await caller.does(RemoveGrant(caller.actor, adapter, tenant))
