"""What the tests ask of control's desk for tenants and keys."""

from dataclasses import replace
from typing import Any

from serve_app.adapters.commands import Answer
from serve_app.tenancy.commands import MakeKey, PutTenant, TenantCommand
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.usage import UsageRecord
from tests.unit.control.bench import ADMIN, Bench, code_of

NEWCO = PutTenant(
    ADMIN,
    "newco",
    description="a customer",
    adapters=frozenset({"finance"}),
    default_adapter="legal",
    weight=2.5,
    limits=Limits(requests_per_minute=60),
)


async def done(bench: Bench, command: TenantCommand, status: int = 200) -> dict[str, Any]:
    answer = await bench.control.manage(command)
    assert answer.status == status, answer.body
    return answer.body


async def refused(bench: Bench, command: TenantCommand) -> str:
    answer: Answer = await bench.control.manage(command)
    assert answer.status >= 400, answer.body
    return f"{answer.status} {code_of(answer)}"


async def a_key(bench: Bench, tenant: str = "newco", **terms: Any) -> dict[str, Any]:
    return await done(bench, replace(MakeKey(ADMIN, tenant), **terms), 201)


async def known(bench: Bench) -> Any:
    """All that gateways are told when they come."""
    updates = bench.control.follow(tenants=True)
    whole = await anext(updates)
    await updates.aclose()  # type: ignore[attr-defined]
    return whole


def a_record(**given: Any) -> UsageRecord:
    """A request that used 10 tokens of prompt, 4 of them cached, and 5 of answer."""
    usual: dict[str, Any] = {
        "request_id": "r",
        "at": 1_000_000,
        "tenant": "newco",
        "key": "k",
        "operation": "chat",
        "adapter": "finance",
        "version": 1,
        "arm": "",
        "outcome": "ok",
        "prompt_tokens": 10,
        "cached_tokens": 4,
        "completion_tokens": 5,
        "first_token_s": 0.5,
        "duration_s": 2.0,
    }
    return UsageRecord(**(usual | given))
