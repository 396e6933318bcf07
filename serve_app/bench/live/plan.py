"""What is asked, of whom, in which order. Pure.

A run is rounds of blocks. In a round every routing gets the same requests at the same times; who
goes first is another one each round.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random

from serve_app.bench.live.routings import Routing
from serve_app.simulator.request import Arrival
from serve_app.simulator.workload import Traffic, steady

MOST_PROMPT, MOST_OUTPUT = 400, 200
"""Tokens, so that no single request outlasts a block by much."""


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        block_s: seconds for which requests come in a block.
        warm_s: seconds at the start of each block that do not count: residency is then this
            routing's own work, and not that of the one before.
        adapters: how many there are to ask for, in Zipf's popularity of exponent ``zipf``.
        load: share of what the engines can do, as measured at the start, that is asked of them.
        clients: tenants that ask, each over connections of its own.
        prompt, output: median tokens; ``spread`` is the standard deviation of their logarithms.
    """

    rounds: int = 5
    block_s: float = 16.0
    warm_s: float = 4.0
    probe_s: float = 8.0
    probe_streams: int = 16
    replicas: int = 2
    adapters: int = 24
    zipf: float = 1.0
    load: float = 0.7
    clients: int = 4
    prompt: int = 60
    output: int = 20
    spread: float = 0.6
    seed: int = 1

    def turns(self) -> Iterator[tuple[int, Routing]]:
        """Every block in order, with its round, from 1."""
        for number in range(1, self.rounds + 1):
            for routing in order(number):
                yield number, routing

    def __len__(self) -> int:
        return self.rounds * len(Routing)

    def requests(self, number: int, rate: float) -> list[Arrival]:
        """What comes in a block of round ``number``, at ``rate`` requests a second."""
        traffic = Traffic(
            rate=rate,
            duration_s=self.block_s,
            adapters=self.adapters,
            zipf=self.zipf,
            base_share=0.0,
            prompt=self.prompt,
            output=self.output,
            spread=self.spread,
        )
        came = steady(traffic, Random(f"live {self.seed} {number}"))
        return [_short(arrival) for arrival in came]


QUICK = Plan(rounds=1, block_s=5.0, warm_s=1.0, probe_s=3.0)
"""A look, not a result."""


def order(number: int) -> Sequence[Routing]:
    """Who goes when in this round: another one first each time, and in every other four rounds
    those after it backwards, so that nobody always follows the same one."""
    routings = list(Routing)
    at = number % len(routings)
    first, *rest = routings[at:] + routings[:at]
    backwards = number // len(routings) % 2
    return [first, *(rest[::-1] if backwards else rest)]


def _short(arrival: Arrival) -> Arrival:
    return Arrival(
        arrival.at_s,
        arrival.adapter,
        min(arrival.prompt, MOST_PROMPT),
        min(arrival.output, MOST_OUTPUT),
    )
