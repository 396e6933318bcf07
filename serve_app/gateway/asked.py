"""What is known of one request from its arrival on, and what its answer says of itself."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from serve_app.routing.messages import Call
from serve_app.telemetry.access_log import Access
from serve_app.tenancy.snapshot import Identity, Target
from serve_app.tenancy.tenant import Tenant


@dataclass(slots=True)
class Asked:
    """Who asked, and when.

    Attributes:
        tokens: what it is reckoned to use, prompt and answer.
        headers: what its answer tells of limits.
        held: gives back, when the request is over, all that it holds.
        call: what became of it, once it is governed.
        prefetched_by: the replica that was told of it early, if one was.
    """

    request: Request
    access: Access
    identity: Identity
    tokens: int
    headers: dict[str, str]
    held: ExitStack
    at: float
    call: Call | None
    prefetched_by: str | None

    def __init__(self, request: Request, identity: Identity) -> None:
        self.request = request
        self.access = request.state.access
        self.identity = identity
        self.tokens = 0
        self.headers = {}
        self.held = request.state.held
        self.at = asyncio.get_running_loop().time()
        self.call = None
        self.prefetched_by = None

    @property
    def tenant(self) -> Tenant:
        return self.identity.tenant

    @property
    def placed_on(self) -> str | None:
        """The replica it was first sent to."""
        return self.call.choice.replica if self.call and self.call.choice else None

    def metadata(self, target: Target) -> dict[str, Any]:
        """What an answer says of itself; ``latency_s`` is counted from the request's arrival."""
        latency_s = asyncio.get_running_loop().time() - self.at
        metadata = {
            "tenant": self.tenant.id,
            "lora_used": target.adapter,
            "latency_s": round(latency_s, 4),
        }
        if self.access.assigned is not None:
            metadata["arm"] = self.access.assigned.label
        return metadata


def headers_of(asked: Asked, target: Target, call: Call) -> dict[str, str]:
    """What an answer's headers say of who answered, where and why, and of the caller's limits."""
    adapter = target.version.name if target.version else "base"
    headers = {**asked.headers, "x-serve-adapter": adapter}
    assigned = asked.access.assigned
    if assigned is not None:
        headers["x-serve-experiment"] = assigned.experiment.name
        headers["x-serve-arm"] = assigned.arm.name
    if call.choice is not None:
        headers["x-serve-replica"] = call.choice.replica
        headers["x-serve-placement"] = call.choice.reason.value
    return headers
