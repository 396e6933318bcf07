"""What the cells of a comparison say together: means, and how sure they are."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import fmean, stdev

from serve_app.simulator.outcome import Outcome

Key = tuple[str, str, int]
"""Policy, cell, seed."""
Outcomes = Mapping[Key, Outcome]

# Student's t, two-sided 95%, by degrees of freedom (any table of it); beyond, the normal's.
_T95 = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
_NORMAL95 = 1.96


@dataclass(frozen=True, slots=True)
class Mean:
    """A mean over seeds, and half of its 95% interval; infinite of a single seed."""

    value: float
    half: float


def mean(values: Sequence[float]) -> Mean:
    """Student's interval; ``values`` has one at least."""
    if len(values) == 1:
        return Mean(values[0], float("inf"))
    freedom = len(values) - 1
    t = _T95[freedom - 1] if freedom <= len(_T95) else _NORMAL95
    return Mean(fmean(values), t * stdev(values) / sqrt(len(values)))


def over_cells(outcomes: Outcomes, policy: str, measure: Callable[[Outcome], float]) -> Mean:
    """The mean over all cells, each seed's being one observation."""
    seeds = sorted({seed for _, _, seed in outcomes})
    return mean([fmean(_of(outcomes, policy, measure, seed=seed)) for seed in seeds])


def in_cell(
    outcomes: Outcomes, policy: str, cell: str, measure: Callable[[Outcome], float]
) -> Mean:
    """The mean over the seeds of one cell."""
    return mean(list(_of(outcomes, policy, measure, cell=cell)))


def policies(outcomes: Outcomes) -> list[str]:
    """In the order in which they were run."""
    return list(dict.fromkeys(policy for policy, _, _ in outcomes))


def cells(outcomes: Outcomes) -> list[str]:
    """In the order in which they were run."""
    return list(dict.fromkeys(cell for _, cell, _ in outcomes))


def _of(
    outcomes: Outcomes,
    policy: str,
    measure: Callable[[Outcome], float],
    *,
    cell: str | None = None,
    seed: int | None = None,
) -> Iterable[float]:
    for (named, where, number), one in outcomes.items():
        if named == policy and cell in (None, where) and seed in (None, number):
            yield measure(one)
