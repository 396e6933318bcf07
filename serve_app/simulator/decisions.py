"""How long one routing decision takes a gateway: booking included, over a fleet that is in use."""

import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from rich.table import Table

from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, News, Operation
from serve_app.simulator.gateway import version
from serve_app.simulator.outcome import quantile

ADAPTERS = 10_000
FLEETS = (4, 64, 1000)
DECISIONS = 5000
WARM_UP = 1000
CAPACITY, SLOTS, HELD = 64, 8, 32
IN_FLIGHT = 5
"""Calls of this gateway on a replica, on average."""


@dataclass(frozen=True, slots=True)
class Decisions:
    """Seconds a decision took, over a fleet of so many replicas."""

    replicas: int
    p50_s: float
    p99_s: float


def measure(replicas: int, seed: int = 1) -> Decisions:
    """Place calls for Zipf's adapters, a few of them in flight a replica at a time."""
    random = Random(seed)
    versions = [version(number) for number in range(ADAPTERS)]
    weights = list(accumulate(1 / (rank + 1) for rank in range(ADAPTERS)))
    ids = tuple(f"r{number}" for number in range(replicas))
    fleet = Fleet("me", lambda _ids: None)
    fleet.replicas_are(frozenset(ids))
    for id_ in ids:
        fleet.heard(id_, _news([v.name for v in random.sample(versions, HELD)], random))
    asked = random.choices(versions, cum_weights=weights, k=WARM_UP + DECISIONS)
    calls = (
        Call("me", number, "", Operation.CHAT, {}, one, fleet) for number, one in enumerate(asked)
    )
    took = sorted(list(_placed(fleet, calls, ids))[WARM_UP:])
    return Decisions(replicas, quantile(took, 0.5), quantile(took, 0.99))


def table(fleets: Iterable[int] = FLEETS) -> Table:
    """One line a size of fleet."""
    table = Table(title=f"one decision, {ADAPTERS:,} adapters, booking included")
    for title in ("replicas", "p50 µs", "p99 µs"):
        table.add_column(title, justify="right")
    for replicas in fleets:
        one = measure(replicas)
        table.add_row(f"{replicas:,}", f"{1e6 * one.p50_s:.0f}", f"{1e6 * one.p99_s:.0f}")
    return table


def _placed(fleet: Fleet, calls: Iterator[Call], ids: tuple[str, ...]) -> Iterator[float]:
    """The seconds each call took to place; the oldest ends when there are enough."""
    running: deque[Call] = deque()
    for call in calls:
        began = time.perf_counter()
        fleet.place(call, ids)
        yield time.perf_counter() - began
        running.append(call)
        if len(running) > IN_FLIGHT * len(ids):
            fleet.release(running.popleft(), served=True)


def _news(holds: list[str], random: Random) -> News:
    others = {"another": random.randrange(20)}
    return News(frozenset(holds), others, CAPACITY, active=frozenset(holds[:SLOTS]))
