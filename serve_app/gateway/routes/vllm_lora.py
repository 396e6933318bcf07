"""The same under vLLM's names and with its bodies, so that tools made for it work."""

from typing import Any

from fastapi import APIRouter, Response
from pydantic import Field

from serve_app.adapters.commands import Register, Remove
from serve_app.gateway.routes.bodies import Body, Name, Source
from serve_app.gateway.routes.dependencies import KeyFirst, TheCaller, documented_auth, needs
from serve_app.tenancy.keys import Scope

router = APIRouter(
    tags=["adapters"],
    route_class=KeyFirst,
    dependencies=[documented_auth, needs(Scope.ADAPTERS_MANAGE)],
)

SAID: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}}
}


class LoadBody(Body):
    """As vLLM's ``LoadLoRAAdapterRequest``. Its two flags are taken and mean nothing here: new
    content is a new version, and shapes decide."""

    lora_name: Name
    lora_path: Source
    load_inplace: bool = False
    is_3d_lora_weight: bool = False


class UnloadBody(Body):
    """As vLLM's ``UnloadLoRAAdapterRequest``. Engines' ids are not a client's to know."""

    lora_name: Name
    lora_int_id: int | None = Field(default=None, ge=0, le=2**53)


@router.post("/v1/load_lora_adapter", response_class=Response, responses=SAID)
async def load(body: LoadBody, caller: TheCaller) -> Response:
    """Register an adapter, or new content for one."""
    done = await caller.does(Register(caller.actor, body.lora_name, body.lora_path))
    return _said(done, f"Success: LoRA adapter '{body.lora_name}' added successfully.")


@router.post("/v1/unload_lora_adapter", response_class=Response, responses=SAID)
async def unload(body: UnloadBody, caller: TheCaller) -> Response:
    """Remove an adapter."""
    done = await caller.does(Remove(caller.actor, body.lora_name))
    return _said(done, f"Success: LoRA adapter '{body.lora_name}' removed successfully.")


def _said(done: Response, words: str) -> Response:
    """vLLM answers success with words; refusals stay what they are."""
    return done if done.status_code >= 400 else Response(words, media_type="text/plain")
