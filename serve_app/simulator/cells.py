"""The situations in which routing policies are compared: traffic, and the fleet it meets."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from serve_app.simulator import workload
from serve_app.simulator.fleet import Death, Policy, Setup, simulate
from serve_app.simulator.outcome import Outcome, outcome
from serve_app.simulator.request import Arrival
from serve_app.simulator.workload import Traffic

WARM_UP_SHARE = 1 / 3

TUNING_SEEDS = range(1, 100)
"""Seeds constants may be chosen by. They are never reported."""
REPORTED_SEEDS = range(1000, 1100)

FLEET = Setup(turns=False)
"""Routing is what is compared: every policy has all requests at once, however many there are."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One situation.

    Attributes:
        says: what happens in it, for a reader of the table.
    """

    name: str
    says: str
    make: Callable[[Traffic, Random], Iterator[Arrival]]
    traffic: Traffic
    setup: Setup = FLEET

    def run(self, policy: Policy, seed: int) -> Outcome:
        """Every policy meets the same requests under the same seed."""
        arrivals = list(self.make(self.traffic, Random(f"{self.name} {seed}")))
        trail = simulate(self.setup, arrivals, policy, seed)
        return outcome(trail, WARM_UP_SHARE * self.traffic.duration_s)


USUAL = Traffic(rate=80.0, duration_s=75.0, adapters=200)

CELLS = (
    Cell("steady", "200 adapters, Zipf 1", workload.steady, USUAL),
    Cell("bursty", "the rate swings 7-fold", workload.bursty, replace(USUAL, rate=65.0)),
    Cell("flash crowd", "a rare adapter takes 30%", workload.flash_crowd, USUAL),
    Cell("shifting", "popularity dealt anew, 4 times", workload.shifting, USUAL),
    Cell("noisy tenant", "a third over 40 adapters", workload.noisy_tenant, USUAL),
    Cell(
        "death",
        "a replica dies, returns cold",
        workload.steady,
        USUAL,
        replace(FLEET, deaths=(Death(at_s=35.0, index=3, back_after_s=20.0),)),
    ),
    Cell(
        "memory",
        "900 adapters, room for 512",
        workload.steady,
        replace(USUAL, rate=60.0, adapters=900, zipf=0.9),
    ),
    Cell(
        "slots",
        "160 adapters alike, 128 slots",
        workload.uniform,
        replace(USUAL, rate=60.0, adapters=160),
    ),
    Cell(
        "old news",
        "4 gateways, news 1 s old",
        workload.steady,
        USUAL,
        replace(FLEET, gateways=4, news_age_s=1.0),
    ),
    Cell("overload", "1.7 times the usual rate", workload.steady, replace(USUAL, rate=140.0)),
)
