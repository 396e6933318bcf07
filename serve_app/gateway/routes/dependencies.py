"""What routes ask for: the gateway, and who calls."""

from dataclasses import dataclass
from typing import Annotated

import orjson
from fastapi import Depends, Request, Response, Security
from fastapi.security import HTTPBearer

from serve_app.adapters.commands import Actor, Command
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


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who would have control do something to adapters."""

    request: Request
    gateway: Gateway
    actor: Actor

    async def does(self, command: Command) -> Response:
        """Control's answer to the command, as HTTP.

        Raises:
            RegistryUnavailable: control is away.
        """
        answer = await self.gateway.registry.manage(command)
        if answer.status >= 400:
            self.request.state.access.error = answer.body["error"]["code"]
        return Response(
            orjson.dumps(answer.body), answer.status, answer.headers, "application/json"
        )


TheGateway = Annotated[Gateway, Depends(gateway)]
TheTenant = Annotated[Tenant, Depends(tenant)]


async def caller(request: Request, gateway: TheGateway, tenant: TheTenant) -> Caller:
    """The tenant that calls, as control knows it."""
    actor = Actor(tenant.id, tenant.admin, tenant.manages_adapters, tenant.adapters)
    return Caller(request, gateway, actor)


TheCaller = Annotated[Caller, Depends(caller)]
an_admin = Depends(admin)
documented_auth = Security(bearer)
