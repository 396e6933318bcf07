"""What operators may see. Needs an admin key."""

from typing import Any

from fastapi import APIRouter

from serve_app.gateway.routes.dependencies import TheGateway, an_admin, documented_auth

router = APIRouter(prefix="/admin/v1", tags=["admin"], dependencies=[documented_auth, an_admin])


@router.get("/fleet")
async def fleet(gateway: TheGateway) -> dict[str, Any]:
    """Every replica as this gateway knows it: residency, load, life."""
    replicas = [
        {
            "replica": replica,
            "alive": news.alive,
            "adapters": sorted(news.holds),
            "in_flight": sum(news.in_flight.values()),
            "capacity": news.capacity,
            "waiting": news.waiting,
            "kv_usage": news.kv_usage,
        }
        for replica, news in gateway.fleet().items()
    ]
    return {"gateway": gateway.id, "replicas": replicas}
