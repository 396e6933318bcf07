"""What the answers of one side have in common. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

from serve_app.client.ab.comparison import Comparison, Reply, Winner

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a test. Times are in seconds; every list is of the answers that came.

    Attributes:
        letter: ``A`` or ``B``.
        adapters: names and digests of the versions that answered.
        errors: prompts that it did not answer.
    """

    letter: str
    name: str
    adapters: Sequence[str]
    errors: int
    first_token_s: Sequence[float]
    latency_s: Sequence[float]
    completion_tokens: Sequence[int]
    tokens_per_s: Sequence[float]

    @property
    def answers(self) -> int:
        return len(self.latency_s)


def sides(comparisons: Sequence[Comparison]) -> tuple[Side, Side]:
    """Both sides of a test.

    Raises:
        ValueError: there are no comparisons.
    """
    if not comparisons:
        raise ValueError("nothing was compared")
    return (
        _side("A", [one.lora_a for one in comparisons]),
        _side("B", [one.lora_b for one in comparisons]),
    )


def middle(values: Sequence[float]) -> float | None:
    """The median; None of nothing."""
    return median(values) if values else None


def won(comparison: Comparison) -> str:
    """``A``, ``B``, ``tie``, or nothing where nobody judged."""
    if comparison.judgement is None:
        return ""
    return {Winner.A: "A", Winner.B: "B", Winner.TIE: "tie"}[comparison.judgement.winner]


def _side(letter: str, replies: Sequence[Reply]) -> Side:
    return Side(
        letter=letter,
        name=replies[0].name,
        adapters=sorted({one.adapter for one in replies if one.adapter}),
        errors=sum(one.error is not None for one in replies),
        first_token_s=_there(one.time_to_first_token_s for one in replies),
        latency_s=_there(one.latency_s for one in replies),
        completion_tokens=_there(one.completion_tokens for one in replies),
        tokens_per_s=_there(one.tokens_per_s for one in replies),
    )


def _there(values: Iterable[T | None]) -> list[T]:
    return [one for one in values if one is not None]
