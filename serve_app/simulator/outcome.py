"""How a simulation went, in the numbers that matter to whoever asked."""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.simulator.fleet import Trail

FIRST_TOKEN_S = 1.0
PER_TOKEN_S = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of the requests that came after the warm-up.

    Attributes:
        requests: how many there were.
        within: share with the first token and every further one in time; a request that was
            refused or lost is not.
        first_p50_s: median seconds to the first token, of those that got one.
        first_p99_s: the same for the slowest 1%.
        loads: adapter loads in 1,000 requests, from the start, in the background or not.
        shed: share refused.
        lost: share that lost their replica in the midst of the answer.
    """

    requests: int
    within: float
    first_p50_s: float
    first_p99_s: float
    loads: float
    shed: float
    lost: float


def outcome(
    trail: Trail,
    warm_up_s: float,
    first_token_s: float = FIRST_TOKEN_S,
    per_token_s: float = PER_TOKEN_S,
) -> Outcome:
    """Measure a trail from ``warm_up_s`` on."""
    counted = [one for one in trail.requests if one.arrival.at_s >= warm_up_s]
    firsts = sorted(one.first_token_s for one in counted if one.first_token_s is not None)
    number = max(1, len(counted))
    return Outcome(
        requests=len(counted),
        within=sum(one.within(first_token_s, per_token_s) for one in counted) / number,
        first_p50_s=quantile(firsts, 0.5),
        first_p99_s=quantile(firsts, 0.99),
        loads=1000 * sum(trail.loads.values()) / max(1, len(trail.requests)),
        shed=sum(one.shed for one in counted) / number,
        lost=sum(one.lost for one in counted) / number,
    )


def quantile(values: Sequence[float], share: float) -> float:
    """Of ascending values; 0 of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else 0.0
