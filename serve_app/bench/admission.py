"""``python -m serve_app.bench.admission``: what a gateway does before a request may go on.

Its own code, with ten thousand tenants that all have limits and ten thousand adapters; the share
of each limit comes from the real authority, in this process.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import ExitStack
from random import Random
from statistics import quantiles
from types import SimpleNamespace
from typing import Annotated, Any, cast

import typer
from rich.console import Console
from rich.table import Table

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.version import Version
from serve_app.control.authority import Authority
from serve_app.gateway.asked import Asked
from serve_app.gateway.limiter import Limiter
from serve_app.gateway.reckoner import Reckoner
from serve_app.gateway.turnstile import Turnstile
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, News, Operation
from serve_app.settings import GatewaySettings
from serve_app.telemetry.access_log import Access
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.allot import Report, Shares
from serve_app.tenancy.keys import Key, Keyring, fingerprint
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.snapshot import Snapshot
from serve_app.tenancy.tenant import Tenant

BASE, PEPPER = "base", b"pepper"
LIMITS = Limits(requests_per_minute=100_000, tokens_per_minute=10**9, concurrent_requests=1000)
STEPS = ("authenticate", "resolve", "limits", "turn", "all of it")


def main(
    tenants: Annotated[int, typer.Option(min=10, help="Each has a key and an adapter.")] = 10_000,
    requests: Annotated[int, typer.Option(min=100)] = 20_000,
    replicas: Annotated[int, typer.Option(min=1, help="Each holds an equal part.")] = 64,
) -> None:
    """Authenticate, resolve and admit requests of many tenants, one after another."""
    took = asyncio.run(_measure(tenants, requests, replicas))
    table = Table(
        title=f"{tenants:,} tenants and adapters, {replicas} replicas", title_justify="left"
    )
    for column in ("step", "p50 µs", "p99 µs"):
        table.add_column(column, justify="left" if column == "step" else "right")
    for step in STEPS:
        parts = quantiles(took[step], n=100)
        table.add_row(step, f"{parts[49] * 1e6:.1f}", f"{parts[98] * 1e6:.1f}")
    Console().print(table)


async def _measure(tenants: int, requests: int, replicas: int) -> dict[str, list[float]]:
    snapshot = _snapshot(tenants)
    authority = Authority(time.monotonic, lambda _: (0, 0), learning_s=0)

    async def share(report: Report) -> Shares:
        return authority.share(report)

    limiter = Limiter("gateway", share, cast(GatewayMetrics, None))
    turnstile = Turnstile(_fleet(tenants, replicas), GatewaySettings(), cast(GatewayMetrics, None))
    reckoner, dice = Reckoner(), Random(0)
    took: dict[str, list[float]] = {step: [] for step in STEPS}
    names = [dice.randrange(tenants) for _ in range(requests)]
    for name in dict.fromkeys(names):  # a tenant's first request asks for its share
        await _one(snapshot, limiter, turnstile, reckoner, name, lambda _: None)
    for name in names:
        marks: list[float] = []
        await _one(snapshot, limiter, turnstile, reckoner, name, marks.append)
        for step, begin, end in zip(STEPS, marks, marks[1:], strict=False):
            took[step].append(end - begin)
        took["all of it"].append(marks[-1] - marks[0])
    await limiter.close()
    return took


async def _one(
    snapshot: Snapshot,
    limiter: Limiter,
    turnstile: Turnstile,
    reckoner: Reckoner,
    number: int,
    mark: Callable[[float], object],
) -> None:
    """One request, with the time after each step."""
    mark(time.perf_counter())
    identity = snapshot.authenticate(f"Bearer sk-{number}", time.time())
    mark(time.perf_counter())
    target = snapshot.resolve(identity.tenant, f"base@adapter-{number}")
    mark(time.perf_counter())
    access = Access("r", "/v1/chat/completions", 200, adapter=target.adapter)
    with ExitStack() as held:
        request: Any = SimpleNamespace(state=SimpleNamespace(access=access, held=held))
        asked = Asked(request, identity)
        call = Call("gateway", 0, "r", Operation.CHAT, {"max_tokens": 100}, target.version)
        reckoner.reckon(asked, call)
        await limiter.admit(asked)
        mark(time.perf_counter())
        await turnstile.enter(asked, call)
        mark(time.perf_counter())


def _fleet(adapters: int, replicas: int) -> Fleet:
    """Replicas half full, which have told what they hold."""
    fleet = Fleet("gateway", lambda _: None)
    ids = [f"replica-{number}" for number in range(replicas)]
    fleet.replicas_are(frozenset(ids))
    for number, id_ in enumerate(ids):
        holds = frozenset(f"adapter-{n}" for n in range(number, adapters, replicas))
        fleet.heard(id_, News(holds, {"another": 128}, capacity=256))
    return fleet


def _snapshot(tenants: int) -> Snapshot:
    numbers = range(tenants)
    keys = {
        fingerprint(f"sk-{number}", PEPPER): Key(f"key-{number}", f"tenant-{number}")
        for number in numbers
    }
    entries = [
        Entry(
            f"adapter-{number}",
            {1: Version(f"adapter-{number}", 1, f"{number:064x}", 8, 1)},
            1,
            owner=f"tenant-{number}",
        )
        for number in numbers
    ]
    everybody = [
        Tenant(f"tenant-{number}", frozenset(), None, base=False, cache_salt="", limits=LIMITS)
        for number in numbers
    ]
    return Snapshot(
        BASE,
        Keyring(keys, PEPPER),
        {tenant.id: tenant for tenant in everybody},
        Catalog.of({entry.name: entry for entry in entries}),
    )


if __name__ == "__main__":
    typer.run(main)
