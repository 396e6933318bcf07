"""From blocks to results: medians, percentiles, ratios of each round. Pure."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

from serve_app.bench.live.client import Asked
from serve_app.bench.live.routings import Routing
from serve_app.bench.results import percentile


@dataclass(frozen=True)
class Block:
    """One routing in one round, without its warm-up.

    Attributes:
        asked: requests that were due after the warm-up.
        seconds: from the warm-up's end to the end of the last request.
        loads: adapters loaded after the warm-up, whoever caused it.
    """

    number: int
    routing: Routing
    asked: tuple[Asked, ...]
    seconds: float
    loads: int

    @property
    def refused(self) -> int:
        return sum(one.first_s is None for one in self.asked)


class Kind(StrEnum):
    """What is measured."""

    FIRST_P50 = "first token p50, ms"
    FIRST_P99 = "first token p99, ms"
    LOADS = "cold loads / 1,000"
    TOKENS = "tokens/s"


Blocks = Sequence[Block]


def first_ms(blocks: Blocks, share: float) -> float:
    """Percentile over the requests of all blocks."""
    firsts = [one.first_s for block in blocks for one in block.asked if one.first_s is not None]
    return 1000 * percentile(firsts, share) if firsts else 0.0


def loads(blocks: Blocks) -> float:
    """In 1,000 requests."""
    requests = sum(len(block.asked) for block in blocks)
    return 1000 * sum(block.loads for block in blocks) / max(1, requests)


def tokens_per_s(blocks: Blocks) -> float:
    """Median of the blocks."""
    return median(sum(one.tokens for one in block.asked) / block.seconds for block in blocks)


VALUES: Mapping[Kind, Callable[[Blocks], float]] = {
    Kind.FIRST_P50: lambda blocks: first_ms(blocks, 0.50),
    Kind.FIRST_P99: lambda blocks: first_ms(blocks, 0.99),
    Kind.LOADS: loads,
    Kind.TOKENS: tokens_per_s,
}


def of(blocks: Blocks, routing: Routing) -> list[Block]:
    """The blocks of one routing, in the order of their rounds."""
    return sorted((one for one in blocks if one.routing is routing), key=lambda one: one.number)


def whole_rounds(blocks: Blocks) -> list[Block]:
    """Without the last round, if not every routing had its turn in it."""
    return [b for b in blocks if sum(one.number == b.number for one in blocks) == len(Routing)]


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours to another routing, round by round: the median and the ends of the range."""

    median: float
    least: float
    most: float


def ratio(blocks: Blocks, kind: Kind, other: Routing) -> Ratio | None:
    """None if the other's value is zero in every round."""
    value = VALUES[kind]
    pairs = zip(of(blocks, Routing.OURS), of(blocks, other), strict=True)
    values = [(value([mine]), value([theirs])) for mine, theirs in pairs]
    found = [mine / theirs for mine, theirs in values if theirs]
    return Ratio(median(found), min(found), max(found)) if found else None
