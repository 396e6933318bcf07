"""From samples to results: medians, percentiles, ratios. Pure."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import ceil
from statistics import median

from serve_app.bench.plan import Load, Side
from serve_app.bench.roles import OUTSIDE_THE_ENGINE, Role


@dataclass(frozen=True)
class Burst:
    """How a load went.

    Attributes:
        wall_s: from the first request's start to the last one's end.
        first_s: seconds to the first output of each request.
    """

    wall_s: float
    tokens: int
    first_s: tuple[float, ...]


@dataclass(frozen=True)
class Sample:
    """One side under one load in one round.

    Attributes:
        used_s: CPU seconds by role while it lasted: of the side, the client and everything else.
        idle_s: CPU seconds the other side used, which was not asked for anything.
    """

    side: Side
    round: int
    load: Load
    burst: Burst
    used_s: Mapping[Role, float]
    idle_s: float


class Kind(StrEnum):
    """What can be measured."""

    TOKENS = "tokens_per_s"
    FIRST_P50 = "first_token_ms_p50"
    FIRST_P99 = "first_token_ms_p99"
    REQUESTS = "one_token_requests_per_s"
    CPU = "cpu_s_per_1000_tokens_outside_engine"


@dataclass(frozen=True)
class Measure:
    """One line of the results: a quantity on both sides.

    Attributes:
        value: over all rounds.
        rounds: in each of them.
    """

    kind: Kind
    streams: int
    value: Mapping[Side, float]
    rounds: Mapping[Side, Sequence[float]]

    @property
    def ratio(self) -> float:
        """Ours to bare."""
        return self.value[Side.OURS] / self.value[Side.BARE]


Samples = Sequence[Sample]


def measures(samples: Samples) -> list[Measure]:
    """Everything the benchmark says, in reading order. A kind's value is computed from all samples
    of a side under a load as from those of one round."""
    loads = list(dict.fromkeys(sample.load for sample in samples))
    return [
        _measure(kind, value, load, samples)
        for kind, value in VALUES.items()
        for load in loads
        if load.streamed is (kind is not Kind.REQUESTS)
    ]


def tokens_per_s(samples: Samples) -> float:
    """Median of the samples."""
    return median(sample.burst.tokens / sample.burst.wall_s for sample in samples)


def requests_per_s(samples: Samples) -> float:
    """Median of the samples."""
    return median(sample.load.requests / sample.burst.wall_s for sample in samples)


def first_ms(samples: Samples, share: float) -> float:
    """Percentile over the requests of all samples."""
    return 1000 * percentile([s for sample in samples for s in sample.burst.first_s], share)


def cpu_per_1000_tokens(samples: Samples, roles: Iterable[Role] = OUTSIDE_THE_ENGINE) -> float:
    """CPU seconds of ``roles`` over the tokens of all samples: a single one is short beside the
    10 ms in which the kernel counts."""
    used_s = sum(sample.used_s.get(role, 0.0) for role in roles for sample in samples)
    return 1000 * used_s / sum(sample.burst.tokens for sample in samples)


VALUES: Mapping[Kind, Callable[[Samples], float]] = {
    Kind.TOKENS: tokens_per_s,
    Kind.FIRST_P50: lambda samples: first_ms(samples, 0.50),
    Kind.FIRST_P99: lambda samples: first_ms(samples, 0.99),
    Kind.REQUESTS: requests_per_s,
    Kind.CPU: cpu_per_1000_tokens,
}


def of(samples: Samples, side: Side, load: Load) -> list[Sample]:
    """The samples of one side under one load."""
    return [sample for sample in samples if sample.side is side and sample.load == load]


def cores(samples: Samples, used_s: Callable[[Sample], float]) -> float:
    """The median of a CPU time per second of wall time."""
    return median(used_s(sample) / sample.burst.wall_s for sample in samples)


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed (nearest rank)."""
    return sorted(values)[max(1, ceil(len(values) * share)) - 1]


def _measure(
    kind: Kind, value: Callable[[Samples], float], load: Load, samples: Samples
) -> Measure:
    theirs = {side: of(samples, side, load) for side in Side}
    return Measure(
        kind=kind,
        streams=load.streams,
        value={side: value(found) for side, found in theirs.items()},
        rounds={side: [value([one]) for one in found] for side, found in theirs.items()},
    )
