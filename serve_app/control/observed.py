"""What usage says of the arms of experiments, in sums that are kept by unit. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

from serve_app.tenancy.usage import UsageRecord

UnitArm = tuple[str, str, str]
"""Salt, unit and arm."""
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
_NUL = "\ufffd"
"""In place of the one character that Postgres keeps in no text."""


@dataclass(slots=True)
class Sums:
    """What a unit had of an arm: counts, and totals over what is counted.

    Attributes:
        first_tokens, first_token_s: of streams, in seconds from the request's arrival.
        answers: that are whole.
        tokens_per_s: of each whole answer's tokens, from the request's arrival to its end.
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
            self.tokens_per_s += record.completion_tokens / max(record.duration_s, 1e-3)


SUMS = tuple(field.name for field in fields(Sums))


@dataclass(frozen=True, slots=True)
class Observed:
    """What a batch of usage adds.

    Attributes:
        sums: in the order in which units met arms first.
        epochs: of those first meetings.
        finishes: requests, by why they ended.
        answers: of shadows: rows of the table ``experiment_answers``.
    """

    sums: dict[UnitArm, Sums]
    epochs: dict[UnitArm, int]
    finishes: dict[Finish, int]
    answers: list[dict[str, Any]]


def observed(records: Iterable[UsageRecord]) -> Observed:
    """Of the records that are to be counted."""
    found = Observed({}, {}, {}, [])
    for record in records:
        if not (record.experiment and record.unit):
            continue
        arm = arm_of(record.arm)
        place = record.experiment, record.unit, arm
        found.sums.setdefault(place, Sums()).add(record)
        found.epochs.setdefault(place, record.epoch)
        if record.answer:
            found.answers.append(
                {
                    "salt": record.experiment,
                    "arm": arm,
                    "request_id": record.request_id.removesuffix(f".{arm}"),
                    "at": record.at,
                    "answer": record.answer.replace("\0", _NUL),
                }
            )
        if record.finish:
            finish = record.experiment, arm, record.finish
            found.finishes[finish] = found.finishes.get(finish, 0) + 1
    return found


def arm_of(told: str) -> str:
    """The arm in ``experiment/arm``."""
    return told.partition("/")[2]
