"""One traffic over many fleets: a result for each setting, or the replicas each setting needs."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from statistics import fmean
from typing import TypeVar

from serve_app.simulator.baselines import POLICIES
from serve_app.simulator.fleet import Setup, simulate
from serve_app.simulator.machine import Machine
from serve_app.simulator.outcome import FIRST_TOKEN_S, PER_TOKEN_S, Outcome, outcome
from serve_app.simulator.request import Arrival
from serve_app.simulator.sizing import smallest

Work = TypeVar("Work")
Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class Goal:
    """What counts as served, as a person who waits would say it."""

    first_token_s: float = FIRST_TOKEN_S
    per_token_s: float = PER_TOKEN_S


@dataclass(frozen=True, slots=True)
class Traces:
    """The traffic, once for each seed.

    Attributes:
        warm_up: share of its time that is not counted.
    """

    by_seed: tuple[tuple[Arrival, ...], ...]
    warm_up: float

    @property
    def rate(self) -> float:
        """Requests a second."""
        numbers = sum(len(arrivals) for arrivals in self.by_seed)
        return numbers / max(1e-9, sum(arrivals[-1].at_s for arrivals in self.by_seed))


@dataclass(frozen=True, slots=True)
class Setting:
    """A fleet, but for how many replicas it has.

    Attributes:
        policy: a name of ``POLICIES``.
        rank: max_lora_rank, None where the machine does not come from it.
    """

    policy: str
    machine: Machine
    rank: int | None
    setup: Setup


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a traffic with a number of replicas: the mean over seeds."""

    setting: Setting
    replicas: int
    outcome: Outcome
    good_rate: float

    def row(self) -> dict[str, str | int | float | None]:
        """As a line of a table, for programs."""
        one, machine = self.outcome, self.setting.machine
        return {
            "policy": self.setting.policy,
            "replicas": self.replicas,
            "max_loras": machine.max_loras,
            "max_cpu_loras": machine.max_cpu_loras,
            "max_lora_rank": self.setting.rank,
            "kv_tokens": machine.kv_tokens,
            "within": one.within,
            "good_requests_s": self.good_rate,
            "first_p50_s": one.first_p50_s,
            "first_p99_s": one.first_p99_s,
            "loads_per_1000": one.loads,
            "refused": one.shed,
            "requests": one.requests,
        }


@dataclass(frozen=True, slots=True)
class Size:
    """How many replicas a setting needs.

    Attributes:
        enough: with the smallest number that reaches the share; None if the most do not.
        fewer: with one replica less, or with the most tried; None if one replica is enough.
    """

    setting: Setting
    enough: Result | None
    fewer: Result | None

    def row(self) -> dict[str, str | int | float | None]:
        """As a line of a table, for programs: ``replicas`` is None if no number is enough."""
        last = self.enough or self.fewer
        assert last is not None
        less = self.fewer.outcome.within if self.fewer else None
        row = last.row() | {"within_with_one_less": less if self.enough else None}
        return row if self.enough else row | {"replicas": None}


def run(setting: Setting, replicas: int, traces: Traces, goal: Goal) -> Result:
    """Simulate the traffic of every seed; the same arguments give the same result."""
    setup = replace(setting.setup, machine=setting.machine, replicas=replicas)
    policy = POLICIES[setting.policy]
    outcomes = []
    for seed, arrivals in enumerate(traces.by_seed):
        trail = simulate(setup, arrivals, policy, seed)
        warm_up_s = traces.warm_up * arrivals[-1].at_s
        outcomes.append(outcome(trail, warm_up_s, goal.first_token_s, goal.per_token_s))
    mean = _mean(outcomes)
    return Result(setting, replicas, mean, mean.within * traces.rate)


def size(setting: Setting, traces: Traces, goal: Goal, share: float, most: int) -> Size:
    """The smallest fleet in which ``share`` of all requests are served as the goal says."""
    tried: dict[int, Result] = {}

    def enough(replicas: int) -> bool:
        tried[replicas] = run(setting, replicas, traces, goal)
        return tried[replicas].outcome.within >= share

    found = smallest(enough, most)
    if found is None:
        return Size(setting, None, tried[most])
    return Size(setting, tried[found], tried.get(found - 1))


def runs(
    settings: Sequence[Setting], replicas: Sequence[int], traces: Traces, goal: Goal, jobs: int
) -> Iterator[Result]:
    """Every setting with every number of replicas, as they are done."""
    work = [(setting, number) for setting in settings for number in replicas]
    return spread(partial(_run, traces=traces, goal=goal), work, jobs)


def sizes(
    settings: Sequence[Setting], traces: Traces, goal: Goal, share: float, most: int, jobs: int
) -> Iterator[Size]:
    """What each setting needs, as it is known."""
    return spread(
        partial(size, traces=traces, goal=goal, share=share, most=most), list(settings), jobs
    )


def spread(do: Callable[[Work], Done], work: Sequence[Work], jobs: int) -> Iterator[Done]:
    """Do each piece of work, in order, on as many processes."""
    if min(jobs, len(work)) == 1:
        yield from map(do, work)
        return
    with get_context("spawn").Pool(min(jobs, len(work))) as pool:
        yield from pool.imap(do, work)


def _run(work: tuple[Setting, int], traces: Traces, goal: Goal) -> Result:
    return run(*work, traces, goal)


def _mean(outcomes: Sequence[Outcome]) -> Outcome:
    return Outcome(
        requests=sum(one.requests for one in outcomes),
        within=fmean(one.within for one in outcomes),
        first_p50_s=fmean(one.first_p50_s for one in outcomes),
        first_p99_s=fmean(one.first_p99_s for one in outcomes),
        loads=fmean(one.loads for one in outcomes),
        shed=fmean(one.shed for one in outcomes),
        lost=fmean(one.lost for one in outcomes),
    )
