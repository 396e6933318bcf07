"""Traffic, made up from a seed: who asks for which adapter, when, and how much.

Prompts and answers are log-normal in length, as in published traces (Azure LLM inference, 2024;
BurstGPT, 2024); popularity is Zipf's, as in S-LoRA's study; time between requests is exponential
unless the traffic is bursty.
"""

import math
from bisect import bisect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate
from random import Random

from serve_app.simulator.request import Arrival


@dataclass(frozen=True, slots=True)
class Traffic:
    """What all of a workload's requests have in common.

    Attributes:
        rate: requests a second.
        duration_s: for how long they come.
        adapters: how many there are to ask for.
        zipf: exponent of their popularity.
        base_share: share of requests for the base model.
        prompt: median tokens of a prompt.
        output: median tokens of an answer.
        spread: standard deviation of the logarithm of both.
    """

    rate: float = 100.0
    duration_s: float = 120.0
    adapters: int = 300
    zipf: float = 1.0
    base_share: float = 0.05
    prompt: int = 250
    output: int = 100
    spread: float = 0.8


Rate = Callable[[float], float]
"""Requests a second at a time, relative to the traffic's own rate."""
Chooser = Callable[[float], int | None]
"""Which adapter a request at a time is for."""
Workload = Callable[[Traffic, Random], Iterator[Arrival]]


def zipf(traffic: Traffic, random: Random) -> Chooser:
    """Zipf's popularity, over adapters in an order of chance."""
    order = random.sample(range(traffic.adapters), traffic.adapters)
    weights = list(accumulate((rank + 1) ** -traffic.zipf for rank in range(traffic.adapters)))

    def choose(_at_s: float) -> int | None:
        if random.random() < traffic.base_share:
            return None
        return order[bisect(weights, random.random() * weights[-1])]

    return choose


def steady(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """Popularity after Zipf, arrivals after Poisson."""
    return _requests(traffic, random, lambda _: 1.0, 1.0, zipf(traffic, random))


def bursty(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """The rate swings between a quarter and 1.75 times the mean, a phase lasting some seconds."""
    phases = [random.choice((0.25, 1.0, 1.75)) for _ in range(int(traffic.duration_s / 5) + 1)]
    return _requests(traffic, random, lambda t: phases[int(t / 5)], 1.75, zipf(traffic, random))


def daily(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """One day, however long it is here: the rate follows a sine from 0.2 times the mean at night to
    1.8 times at noon."""

    def rate(at_s: float) -> float:
        return 1.0 - 0.8 * math.cos(2 * math.pi * at_s / traffic.duration_s)

    return _requests(traffic, random, rate, 1.8, zipf(traffic, random))


def flash_crowd(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """In the middle third, a rarely used adapter takes 30% of a load 1.2 times the usual."""
    usual, star = zipf(traffic, random), random.randrange(traffic.adapters)

    def crowded(at_s: float) -> bool:
        return 1 / 3 < at_s / traffic.duration_s < 2 / 3

    def choose(at_s: float) -> int | None:
        return star if crowded(at_s) and random.random() < 0.3 else usual(at_s)

    return _requests(traffic, random, lambda t: 1.2 if crowded(t) else 1.0, 1.2, choose)


def shifting(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """Popularity is dealt anew four times."""
    periods = [zipf(traffic, random) for _ in range(4)]
    length_s = traffic.duration_s / len(periods)

    def choose(at_s: float) -> int | None:
        return periods[min(len(periods) - 1, int(at_s / length_s))](at_s)

    return _requests(traffic, random, lambda _: 1.0, 1.0, choose)


def noisy_tenant(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """One tenant sprays its requests evenly over forty adapters of its own, a third of all."""
    usual, first = zipf(traffic, random), traffic.adapters

    def choose(at_s: float) -> int | None:
        return first + random.randrange(40) if random.random() < 1 / 3 else usual(at_s)

    return _requests(traffic, random, lambda _: 1.0, 1.0, choose)


def uniform(traffic: Traffic, random: Random) -> Iterator[Arrival]:
    """Every adapter is as popular as the next: slots are short everywhere."""

    def choose(_at_s: float) -> int | None:
        return random.randrange(traffic.adapters)

    return _requests(traffic, random, lambda _: 1.0, 1.0, choose)


WORKLOADS: dict[str, Workload] = {
    "steady": steady,
    "bursty": bursty,
    "daily": daily,
    "flash-crowd": flash_crowd,
    "shifting": shifting,
    "noisy-tenant": noisy_tenant,
    "uniform": uniform,
}


def _requests(
    traffic: Traffic, random: Random, rate: Rate, most: float, choose: Chooser
) -> Iterator[Arrival]:
    """Arrivals at a rate that changes, by thinning (Lewis and Shedler, 1979)."""
    for at_s in _times(traffic, random, most):
        if random.random() * most <= rate(at_s):
            prompt = _length(random, traffic.prompt, traffic.spread, 6000)
            output = _length(random, traffic.output, traffic.spread, 1500)
            yield Arrival(at_s, choose(at_s), prompt, output)


def _times(traffic: Traffic, random: Random, most: float) -> Iterable[float]:
    at_s = random.expovariate(traffic.rate * most)
    while at_s < traffic.duration_s:
        yield at_s
        at_s += random.expovariate(traffic.rate * most)


def _length(random: Random, median: int, spread: float, most: int) -> int:
    return max(1, min(most, round(random.lognormvariate(math.log(median), spread))))
