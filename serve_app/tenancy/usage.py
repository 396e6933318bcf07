"""What requests have used: as it is recorded, and as it is asked for. Plain data.

Never a prompt or a key, and no answer that anybody was given.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.adapters.commands import Actor


@dataclass(frozen=True, slots=True)
class UsageRecord:
    """One request that is over.

    Attributes:
        at: unix time in seconds at which it was over.
        key: the key's public id.
        adapter: the adapter's name, empty for the base or if it was never known.
        version: the number of the adapter's version, 0 if there is none.
        arm: ``experiment/arm``; empty if there is none.
        outcome: ``ok``, ``client_gone``, or the code of the error.
        first_token_s: seconds to the first byte of a good answer, None if there was none.
        experiment: its salt; empty if there is none.
        unit: whom or what the arm was assigned to, hidden; empty if this is not to be counted.
        epoch: of the weights it was assigned by; 0 if the arm is a shadow.
        finish: why the answer ended, in OpenAI's words.
        streamed: whether the answer came in pieces.
        failed: whether the answer failed, in whole or half-way, through no fault of the client.
        answer: of a shadow, which nobody was given.
    """

    request_id: str
    at: int
    tenant: str
    key: str
    operation: str
    adapter: str
    version: int
    arm: str
    outcome: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    first_token_s: float | None
    duration_s: float
    experiment: str = ""
    unit: str = ""
    epoch: int = 0
    finish: str = ""
    streamed: bool = False
    failed: bool = False
    answer: str = ""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that a gateway sends together. Sent twice, it counts once.

    Attributes:
        number: unique within the gateway.
    """

    gateway: str
    number: int
    records: tuple[UsageRecord, ...]


class Interval(StrEnum):
    HOUR = "hour"
    DAY = "day"
    TOTAL = "total"


class By(StrEnum):
    """What usage may be told apart by."""

    TENANT = "tenant"
    KEY = "key"
    ADAPTER = "adapter"
    VERSION = "version"
    ARM = "arm"
    OUTCOME = "outcome"


@dataclass(frozen=True, slots=True)
class ShowUsage:
    """Sums of usage, a page of rows.

    Attributes:
        tenant, adapter, key: only of these; all if None.
        start, end: unix time in seconds, the end excluded; whole hours count.
        offset: rows of earlier pages.
    """

    actor: Actor
    tenant: str | None
    start: int
    end: int
    adapter: str | None = None
    key: str | None = None
    interval: Interval = Interval.DAY
    by: tuple[By, ...] = field(default=(By.TENANT,))
    limit: int = 1000
    offset: int = 0
