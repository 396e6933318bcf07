"""What routes ask for: the gateway, and who calls."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request, Response, Security
from fastapi.routing import APIRoute
from fastapi.security import HTTPBearer

from serve_app.adapters.commands import Actor
from serve_app.feed import AnyCommand
from serve_app.gateway.gateway import Gateway
from serve_app.tenancy.keys import Scope
from serve_app.tenancy.snapshot import Identity

bearer = HTTPBearer(auto_error=False, description="A tenant's API key.")


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


async def gateway(request: Request) -> Gateway:
    """The gateway this process is."""
    return _gateway(request)


async def identity(request: Request) -> Identity:
    """The caller; 401 if there is none."""
    return _gateway(request).authenticate(request)


@dataclass(frozen=True, slots=True)
class Needs:
    """A dependency: the caller's key has one of ``scopes``; 403 if not."""

    scopes: tuple[Scope, ...]

    async def __call__(self, caller: Annotated[Identity, Depends(identity)]) -> None:
        caller.must(*self.scopes)


def needs(*scopes: Scope) -> Any:
    """``Needs``, as routes take it."""
    return Depends(Needs(scopes))


class KeyFirst(APIRoute):
    """A route whose caller is known before its body is read. By itself FastAPI reads and parses a
    body before it asks for dependencies, and would speak of it to anybody."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """As FastAPI has it, behind what the route needs."""
        answer = super().get_route_handler()
        asked = [one.dependency for one in self.dependencies if isinstance(one.dependency, Needs)]

        async def answer_known(request: Request) -> Response:
            for one in asked:
                await one(await identity(request))
            return await answer(request)

        return answer_known


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody who would have control do something to adapters."""

    request: Request
    gateway: Gateway
    actor: Actor

    async def does(self, command: AnyCommand) -> Response:
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
TheIdentity = Annotated[Identity, Depends(identity)]


async def caller(request: Request, gateway: TheGateway, identity: TheIdentity) -> Caller:
    """The tenant that calls, as control knows it."""
    tenant, key = identity.tenant, identity.key
    admin, manages = key.allows(Scope.ADMIN), key.allows(Scope.ADAPTERS_MANAGE)
    return Caller(request, gateway, Actor(tenant.id, admin, manages, tenant.adapters))


TheCaller = Annotated[Caller, Depends(caller)]
documented_auth = Security(bearer)
