"""The twin beside a real replica under the same requests, and how far it is off. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from serve_app.simulator.calibration import Fit
from serve_app.simulator.fleet import Policy, Setup, simulate
from serve_app.simulator.outcome import FIRST_TOKEN_S, PER_TOKEN_S, quantile
from serve_app.simulator.request import Arrival, Request
from serve_app.simulator.workload import Traffic, steady


@dataclass(frozen=True, slots=True)
class Answered:
    """What a client saw of one request; times in seconds since the first could come.

    Attributes:
        first_s: when its first token came, None if it was refused.
        cold: it waited for its adapter to be loaded.
    """

    arrival: Arrival
    first_s: float | None
    done_s: float | None
    cold: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the requests after the warm-up.

    Attributes:
        tokens_per_s: of answers, while requests came.
        cold: requests in 1,000 that waited for a load.
        goodput: requests a second with the first token and every further one in time.
        refused: share, 0 to 1.
    """

    first_p50_s: float
    first_p99_s: float
    tokens_per_s: float
    cold: float
    goodput: float
    refused: float


@dataclass(frozen=True, slots=True)
class Goal:
    """What is in time: seconds to the first token, and a token after it."""

    first_token_s: float = FIRST_TOKEN_S
    per_token_s: float = PER_TOKEN_S


def workload(traffic: Traffic, seed: int, longest: int) -> list[Arrival]:
    """Random requests, Poisson and Zipf, none of more than ``longest`` tokens in all."""
    came = steady(traffic, Random(f"calibrate {seed}"))
    return [one for one in came if one.prompt + one.output <= longest]


def simulated(fit: Fit, arrivals: Sequence[Arrival], seed: int) -> list[Answered]:
    """The same requests in the twin of one replica; the way to its engine and back is added."""
    setup = Setup(machine=fit.machine, replicas=1, gateways=1)
    trail = simulate(setup, arrivals, Policy("serve_app", copies=True), seed)
    return [_answered(one, fit.overhead_s) for one in trail.requests]


def facts(answers: Sequence[Answered], warm_up_s: float, end_s: float, goal: Goal) -> Facts:
    """Of the requests that came in ``[warm_up_s, end_s)``."""
    counted = [one for one in answers if warm_up_s <= one.arrival.at_s < end_s]
    number, seconds = max(1, len(counted)), end_s - warm_up_s
    waits = (one.first_s - one.arrival.at_s for one in counted if one.first_s is not None)
    firsts = sorted(waits)
    tokens = sum(one.arrival.output for one in counted if one.done_s is not None)
    ends = [one.done_s for one in counted if one.done_s is not None]
    lasted_s = max([seconds, *(end - warm_up_s for end in ends)])
    return Facts(
        first_p50_s=quantile(firsts, 0.5),
        first_p99_s=quantile(firsts, 0.99),
        tokens_per_s=tokens / lasted_s,
        cold=1000 * sum(one.cold for one in counted) / number,
        goodput=sum(_within(one, goal) for one in counted) / seconds,
        refused=sum(one.first_s is None for one in counted) / number,
    )


def error(real: float, twin: float) -> float | None:
    """How far the twin is off, as a share of what was measured; None if that is nothing."""
    return (twin - real) / real if real else None


def _answered(request: Request, overhead_s: float) -> Answered:
    def seen(at_s: float | None) -> float | None:
        return None if at_s is None else at_s + overhead_s

    return Answered(request.arrival, seen(request.first_s), seen(request.done_s), request.cold)


def _within(one: Answered, goal: Goal) -> bool:
    if one.first_s is None or one.done_s is None:
        return False
    each_s = (one.done_s - one.first_s) / max(1, one.arrival.output - 1)
    return one.first_s - one.arrival.at_s <= goal.first_token_s and each_s <= goal.per_token_s
