"""How many replicas the load asks for: what each of them tells of its load, and the decision. Pure.

How long a wish must last before it is granted is the affair of whoever starts and stops replicas.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from math import ceil
from statistics import fmean
from typing import Self

from serve_app.errors import ConfigError
from serve_app.routing.messages import News

_MOST = 2.0
"""A replica counts for so many at most: the fleet doubles, and then looks again. Queues grow for as
long as new replicas start, and would otherwise ask for ever more of them."""
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True)
class Load:
    """What one replica has to do, on average over some time.

    Attributes:
        seats: requests on it, as a share of those its engine runs at once; above 1 they queue.
        slots: distinct adapters in flight there, as a share of its LoRA slots.
        memory: tokens in flight, as a share of its KV cache.
        prompts_s: prompt tokens that are not computed yet, in seconds of its time.
        loads: share of time in which it loads an adapter: the rate of cold loads times what one
            takes, up to 1. A replica that has just come loads all the time and counts once at most.
    """

    seats: float = 0.0
    slots: float = 0.0
    memory: float = 0.0
    prompts_s: float = 0.0
    loads: float = 0.0

    @classmethod
    def of(cls, news: News) -> Self:
        """This instant's."""
        return cls(
            seats=sum(news.in_flight.values()) / news.capacity,
            slots=len(news.active) / news.max_loras,
            memory=news.kv_usage,
            prompts_s=news.waiting_tokens * news.costs.prompt_token_s,
            loads=float(bool(news.loading)),
        )

    @classmethod
    def mean(cls, loads: Sequence[Self]) -> Self:
        """The mean of one at least."""
        means = {kind: fmean(getattr(one, kind) for one in loads) for kind in KINDS}
        return cls(**means)


KINDS = tuple(field.name for field in fields(Load))


@dataclass(frozen=True, slots=True)
class Targets:
    """How much of each kind of load one replica takes before another one is wanted.

    Attributes:
        slack: a replica leaves only when the others would stay so far, as a share, below their
            targets. It keeps a load that hovers at a target from adding and removing in turn.
    """

    seats: float = 0.6
    slots: float = 1.0
    memory: float = 0.7
    prompts_s: float = 0.25
    loads: float = 0.75
    slack: float = 0.15

    def __post_init__(self) -> None:
        for name in KINDS:
            if not 0 < getattr(self, name) < float("inf"):
                raise ConfigError(f"{name}: must be more than 0, not {getattr(self, name)}")
        if not 0 <= self.slack < 1:
            raise ConfigError(f"slack: must be at least 0 and less than 1, not {self.slack}")

    @classmethod
    def parse(cls, values: dict[str, float]) -> Self:
        """From a configuration.

        Raises:
            ConfigError: there is no such target, or it cannot have that value.
        """
        known = [field.name for field in fields(cls)]
        for name, value in values.items():
            if name not in known:
                raise ConfigError(f"{name}: unknown; known here are {', '.join(known)}")
            if isinstance(value, bool) or not isinstance(value, (int, float)):
                raise ConfigError(f"{name}: must be a number, not {value!r}")
        return cls(**values)


USUAL = Targets()


@dataclass(frozen=True, slots=True)
class Bounds:
    """How few and how many replicas there may be."""

    least: int = 1
    most: int = 1

    def __contains__(self, number: int) -> bool:
        return self.least <= number <= self.most

    def clip(self, number: int) -> int:
        return max(self.least, min(self.most, number))


@dataclass(frozen=True, slots=True)
class Wish:
    """How many replicas are wanted, and which kind of load asks for most, with how many."""

    replicas: int
    kind: str
    asked: float

    def __str__(self) -> str:
        return f"{self.replicas} replicas: {self.kind} ask for {self.asked:.2f}"


def wish(
    loads: Sequence[Load], silent: int, present: int, bounds: Bounds, targets: Targets = USUAL
) -> Wish:
    """How many replicas are wanted: at most one less than there are, so that each time one leaves
    the others take over no more than its share of the adapters.

    Args:
        loads: of the running replicas that have told.
        silent: how many have not: new, or in trouble. They ask for nothing, and while there is one
            no replica is given up.
        present: how many there are to be as it stands, those that are starting included.
    """
    asked, kind = max((_asked(loads, kind, targets), kind) for kind in KINDS)
    enough = ceil(asked - _ROUNDING)
    kept = min(present, ceil(asked / (1 - targets.slack) - _ROUNDING))
    fewest = present if silent or not loads else present - 1
    return Wish(bounds.clip(max(enough, kept, fewest)), kind, asked)


def stats(news: News) -> dict[str, float]:
    """What a replica tells Serve's autoscaler; one whose engine is dead has nothing to tell."""
    return asdict(Load.of(news)) if news.alive else {}


def _asked(loads: Sequence[Load], kind: str, targets: Targets) -> float:
    """Replicas that this kind of load asks for."""
    target: float = getattr(targets, kind)
    return sum((min(_MOST, getattr(one, kind) / target) for one in loads), start=0.0)
