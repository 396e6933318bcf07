"""Tenants beside one another on a simulated fleet: who waited how long, and who got how much."""

import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from random import Random

from serve_app.simulator.fleet import Trail
from serve_app.simulator.outcome import quantile
from serve_app.simulator.request import Arrival, Request
from serve_app.simulator.workload import Traffic, steady


@dataclass(frozen=True, slots=True)
class Customer:
    """A tenant and what it asks. Its adapters are its own.

    Attributes:
        number: names it.
    """

    number: int
    traffic: Traffic


def together(customers: Iterable[Customer], seed: int) -> list[Arrival]:
    """What all of them ask, in order. What one asks does not depend on who else is there."""
    return list(heapq.merge(*(_asks(one, seed) for one in customers), key=lambda one: one.at_s))


def _asks(customer: Customer, seed: int) -> Iterator[Arrival]:
    first = 10_000 * customer.number
    for arrival in steady(customer.traffic, Random(f"{customer.number} {seed}")):
        adapter = None if arrival.adapter is None else first + arrival.adapter
        yield replace(arrival, adapter=adapter, tenant=customer.number)


@dataclass(frozen=True, slots=True)
class Standing:
    """How a tenant fared.

    Attributes:
        requests: how many it sent.
        shed: share refused.
        first_p50_s: median seconds to the first token, of those that got one.
        first_p99_s: the same for the slowest 1%.
        tokens: of the prompts and answers that were complete from then on, until requests came no
            more.
    """

    requests: int
    shed: float
    first_p50_s: float
    first_p99_s: float
    tokens: int


def standing(trail: Trail, tenant: int, from_s: float) -> Standing:
    """How tenant number ``tenant`` fared, of what came from ``from_s`` on."""
    end_s = trail.requests[-1].arrival.at_s
    everything = [one for one in trail.requests if one.arrival.tenant == tenant]
    its = [one for one in everything if one.arrival.at_s >= from_s]
    firsts = sorted(one.first_token_s for one in its if one.first_token_s is not None)
    return Standing(
        requests=len(its),
        shed=sum(one.shed for one in its) / max(1, len(its)),
        first_p50_s=quantile(firsts, 0.5),
        first_p99_s=quantile(firsts, 0.99),
        tokens=sum(_tokens(one) for one in everything if from_s <= (one.done_s or 0.0) <= end_s),
    )


def jain(shares: Iterable[float]) -> float:
    """1 if all are alike, 1/n if one has everything (Jain, Chiu and Hawe, 1984)."""
    got = list(shares)
    return sum(got) ** 2 / (len(got) * sum(share**2 for share in got))


def _tokens(request: Request) -> int:
    return request.arrival.prompt + request.arrival.output
