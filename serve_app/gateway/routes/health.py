"""Whether this gateway lives, and whether it can answer. Needs no key."""

from typing import Any

from fastapi import APIRouter, Response

from serve_app import __version__
from serve_app.gateway.routes.dependencies import TheGateway

router = APIRouter(tags=["health"])


@router.get("/health")
async def health() -> dict[str, str]:
    """This process answers."""
    return {"status": "ok"}


@router.get("/ready", responses={503: {"description": "Not yet; no error is in the body."}})
async def ready(gateway: TheGateway, response: Response) -> dict[str, str]:
    """200 once tenants are known and at least one engine lives, else 503."""
    if gateway.ready:
        return {"status": "ready"}
    response.status_code = 503
    response.headers["Retry-After"] = "2"
    return {"status": "starting"}


@router.get("/version")
async def version() -> dict[str, Any]:
    """The version of serve_app."""
    return {"version": __version__}
