"""What usage says of the arms of experiments, in sums that are kept by unit. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

from serve_app.tenancy.usage import UsageRecord


class Place(NamedTuple):
    """Where sums are kept: by unit, arm, and the weights (``epoch``) that the unit was assigned
    by, 0 if the arm is a shadow."""

    salt: str
    unit: str
    arm: str
    epoch: int


Finish = tuple[str, str, str]
"""Salt, arm and why answers ended."""
METRICS = {
    "error_rate": ("requests", "errors"),
    "score": ("scores", "score"),
    "first_token_s": ("first_tokens", "first_token_s"),
    "tokens_per_s": ("answers", "tokens_per_s"),
    "completion_tokens": ("answers", "completion_tokens"),
}
"""Names of the count and the total whose ratio each figure is."""
MOMENTS = ("units", "n", "s", "nn", "ss", "ns")
"""As in ``experiments.moments.Moments``."""
Rows = Sequence[Mapping[str, Any]]
_SHORTEST_S = 1e-3
_NUL = "\ufffd"
"""In place of the one character that Postgres keeps in no text."""


@dataclass(slots=True)
class Sums:
    """What a unit had of an arm: counts, and totals over what is counted.

    Attributes:
        first_tokens, first_token_s: of streams, in seconds from the request's arrival.
        answers: that are whole.
        tokens_per_s: of whole answers: after the first token, if it was streamed.
    """

    requests: int = 0
    errors: int = 0
    first_tokens: int = 0
    answers: int = 0
    scores: int = 0
    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    completion_tokens: float = 0.0
    score: float = 0.0

    def add(self, record: UsageRecord) -> None:
        """One more request."""
        self.requests += 1
        self.errors += record.failed
        if record.streamed and record.first_token_s is not None:
            self.first_tokens += 1
            self.first_token_s += record.first_token_s
        if record.outcome == "ok" and record.completion_tokens:
            self.answers += 1
            self.completion_tokens += record.completion_tokens
            self.tokens_per_s += _tokens_per_s(record)


SUMS = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True)
class Added:
    """What a batch of usage adds.

    Attributes:
        sums: in the order in which units met arms.
        finishes: requests, by why they ended.
        answers: of shadows: rows of the table ``experiment_answers``.
    """

    sums: dict[Place, Sums]
    finishes: dict[Finish, int]
    answers: list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Seen:
    """What was observed of an experiment.

    Attributes:
        totals: a row an arm: ``units``, ``requests``, ``errors``, and, for each of ``METRICS``, its
            moments over units, as ``metric_moment``.
        latest: likewise, of requests assigned by the present weights alone.
        epochs: how many different weights have had requests.
        arrivals: how many units met any arm first, by epoch and arm.
        finishes: requests, by arm and why they ended.
    """

    totals: Rows = ()
    latest: Rows = ()
    epochs: int = 0
    arrivals: Rows = ()
    finishes: Rows = ()


def added(records: Iterable[UsageRecord]) -> Added:
    """By the records that are to be counted."""
    found = Added({}, {}, [])
    for record in records:
        if not (record.experiment and record.unit):
            continue
        arm = arm_of(record.arm)
        place = Place(record.experiment, record.unit, arm, record.epoch)
        found.sums.setdefault(place, Sums()).add(record)
        if record.answer:
            found.answers.append(_answer(record, arm))
        if record.finish:
            finish = record.experiment, arm, record.finish
            found.finishes[finish] = found.finishes.get(finish, 0) + 1
    return found


def arm_of(told: str) -> str:
    """The arm in ``experiment/arm``."""
    return told.partition("/")[2]


def _tokens_per_s(record: UsageRecord) -> float:
    """As the SDK measures it: the first token of a stream is what one waits for, not a speed."""
    tokens, seconds = record.completion_tokens, record.duration_s
    if record.streamed and record.first_token_s is not None:
        tokens, seconds = tokens - 1, seconds - record.first_token_s
    return tokens / max(seconds, _SHORTEST_S)


def _answer(record: UsageRecord, arm: str) -> dict[str, Any]:
    return {
        "salt": record.experiment,
        "arm": arm,
        "request_id": record.request_id.removesuffix(f".{arm}"),
        "at": record.at,
        "answer": record.answer.replace("\0", _NUL),
    }
