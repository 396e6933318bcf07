"""What is measured, in which order. Pure.

The sides take turns, and who goes first alternates from round to round (A B, B A, A B, ...), so
that a machine that slows down or speeds up during a run favours neither.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum


class Side(StrEnum):
    """Who is measured."""

    OURS = "ours"
    BARE = "bare"


@dataclass(frozen=True)
class Load:
    """Streams at once, each sending its requests one after another.

    Attributes:
        tokens: what every request generates, exactly.
        streamed: whether answers come as events or in one piece.
    """

    streams: int
    requests_per_stream: int
    tokens: int
    streamed: bool = True

    @property
    def name(self) -> str:
        if not self.streamed:
            return "one token"
        return f"{self.streams} stream{'s' if self.streams > 1 else ''}"

    @property
    def requests(self) -> int:
        return self.streams * self.requests_per_stream


@dataclass(frozen=True)
class Plan:
    """A run.

    Attributes:
        streams: numbers of streams to measure at, ascending.
        unary_requests: requests of one token, sent by ``unary_streams`` at once.
    """

    rounds: int = 6
    tokens: int = 256
    streams: tuple[int, ...] = (1, 16, 64)
    unary_streams: int = 16
    unary_requests: int = 480

    def loads(self) -> list[Load]:
        """Everything one side goes through in a round. Few streams send more than once."""
        streamed = [Load(n, max(1, 4 // n), self.tokens) for n in self.streams]
        unary = Load(self.unary_streams, self.unary_requests // self.unary_streams, 1, False)
        return [*streamed, unary]

    def turns(self) -> Iterator[tuple[int, Load, Side]]:
        """Every measurement in order, with its round. Round 0 warms up and does not count."""
        for number in range(self.rounds + 1):
            for load in self.loads():
                for side in order(number):
                    yield number, load, side

    def __len__(self) -> int:
        return (self.rounds + 1) * len(self.loads()) * len(Side)


QUICK = Plan(rounds=2, tokens=96, unary_requests=160)
"""A look, not a result."""


def order(number: int) -> Sequence[Side]:
    """Who goes first in this round."""
    return (Side.OURS, Side.BARE) if number % 2 else (Side.BARE, Side.OURS)
