"""What operators may see. Needs an admin key."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from serve_app.adapters.commands import ShowAudit
from serve_app.gateway.routes.dependencies import (
    TheCaller,
    TheGateway,
    an_admin,
    documented_auth,
)

router = APIRouter(prefix="/admin/v1", tags=["admin"], dependencies=[documented_auth, an_admin])


@router.get("/fleet")
async def fleet(gateway: TheGateway) -> dict[str, Any]:
    """Every replica as this gateway knows it: residency, load, life."""
    replicas = [
        {
            "replica": replica,
            "alive": news.alive,
            "adapters": sorted(news.holds),
            "loading": sorted(news.loading),
            "active": sorted(news.active),
            "load_s": round(news.load_s, 4),
            "engine_lists": news.engine_lists,
            "in_flight": sum(news.in_flight.values()),
            "capacity": news.capacity,
            "waiting": news.waiting,
            "kv_usage": news.kv_usage,
        }
        for replica, news in gateway.fleet().items()
    ]
    return {"gateway": gateway.id, "replicas": replicas}


@router.get("/audit")
async def audit(
    caller: TheCaller,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    after: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """Who did what to which adapter, newest first."""
    return await caller.does(ShowAudit(caller.actor, limit, after))
