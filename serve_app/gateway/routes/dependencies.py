"""What routes ask for: the gateway, and the tenant that calls."""

from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from serve_app.errors import PermissionDenied
from serve_app.gateway.gateway import Gateway
from serve_app.tenancy.tenant import Tenant

bearer = HTTPBearer(auto_error=False, description="A tenant's API key.")


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def gateway(request: Request) -> Gateway:
    """The gateway this process is."""
    return _gateway(request)


async def tenant(request: Request) -> Tenant:
    """The caller; 401 if there is none."""
    return _gateway(request).authenticate(request)


async def admin(caller: Annotated[Tenant, Depends(tenant)]) -> Tenant:
    """The caller, if it may manage the application; 403 if not."""
    if not caller.admin:
        raise PermissionDenied("This key may not use the admin API.")
    return caller


TheGateway = Annotated[Gateway, Depends(gateway)]
TheTenant = Annotated[Tenant, Depends(tenant)]
an_admin = Depends(admin)
documented_auth = Security(bearer)
