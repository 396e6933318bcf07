"""What operators may see. Needs an admin key."""

import asyncio
import time
from typing import Annotated

from fastapi import APIRouter, Query, Response

from serve_app.adapters.commands import ShowAudit
from serve_app.gateway.fleet_page import fleet_page
from serve_app.gateway.fleet_schema import FleetPage
from serve_app.gateway.routes.dependencies import (
    TheCaller,
    TheGateway,
    documented_auth,
    needs,
)
from serve_app.gateway.routes.queries import AfterNumber, Page
from serve_app.tenancy.keys import Scope

MAX_ADAPTERS = 1000
router = APIRouter(
    prefix="/admin/v1", tags=["admin"], dependencies=[documented_auth, needs(Scope.ADMIN)]
)


@router.get("/fleet", response_model=FleetPage)
async def fleet(
    gateway: TheGateway,
    adapter: Annotated[
        str | None,
        Query(
            max_length=255,
            description="Only this adapter, of any version or of one; `base` is the base.",
            examples=["acme-finance-lora"],
        ),
    ] = None,
    limit: Annotated[
        int, Query(ge=1, le=MAX_ADAPTERS, description="Adapters on the page at most.")
    ] = 100,
) -> Response:
    """Every replica as this gateway knows it, and where each adapter's last requests went and why:
    what they were expected to wait there, and what they did wait."""
    told, latest, outstanding = gateway.fleet(), gateway.placements.latest(), gateway.outstanding

    def page() -> str:
        made = fleet_page(gateway.id, told, latest, time.time(), limit, adapter, outstanding)
        return made.model_dump_json()

    # Of a large fleet it is many names: not on the loop that answers requests.
    return Response(await asyncio.to_thread(page), media_type="application/json")


@router.get("/audit")
async def audit(
    caller: TheCaller,
    limit: Page = 100,
    after: AfterNumber = None,
) -> Response:
    """Who did what to which adapter, newest first."""
    return await caller.does(ShowAudit(caller.actor, limit, after))
