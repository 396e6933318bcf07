"""Sums of usage by the hour, and what is told of them. Pure."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from serve_app.tenancy.usage import By, Interval, UsageRecord

HOUR_S = 3600
DAY_S = 24 * HOUR_S
Json = dict[str, Any]
Place = tuple[int, str, str, str, int, str, str]
"""Hour, tenant, key, adapter, version, arm and outcome."""


def place_of(record: UsageRecord) -> Place:
    """Where a record is summed."""
    hour = record.at - record.at % HOUR_S
    who = record.tenant, record.key, record.adapter, record.version, record.arm, record.outcome
    return hour, *who


def summed(records: Iterable[UsageRecord]) -> dict[Place, Json]:
    """What the records add to each place."""
    sums: dict[Place, Json] = {}
    for record in records:
        found = sums.setdefault(place_of(record), _nothing())
        found["requests"] += 1
        found["prompt_tokens"] += record.prompt_tokens
        found["cached_tokens"] += record.cached_tokens
        found["completion_tokens"] += record.completion_tokens
        found["duration_s"] += record.duration_s
        if record.first_token_s is not None:
            found["first_tokens"] += 1
            found["first_token_s"] += record.first_token_s
    return sums


def _nothing() -> Json:
    counts = ("requests", "prompt_tokens", "cached_tokens", "completion_tokens", "first_tokens")
    return {**dict.fromkeys(counts, 0), "first_token_s": 0.0, "duration_s": 0.0}


def begin_of_day(at: int) -> int:
    """Unix time at which the UTC day of ``at`` began."""
    return at - at % DAY_S


def begin_of_month(at: int) -> int:
    """Unix time at which the UTC month of ``at`` began."""
    day = datetime.fromtimestamp(at, UTC)
    return int(datetime(day.year, day.month, 1, tzinfo=UTC).timestamp())


def usage_record(row: Mapping[str, Any], by: Iterable[By], interval: Interval) -> Json:
    """One row of sums as it is told; means are over the requests that had one."""
    lasts = {Interval.HOUR: HOUR_S, Interval.DAY: DAY_S, Interval.TOTAL: None}[interval]
    first_tokens, requests = int(row["first_tokens"]), int(row["requests"])
    start = None if lasts is None else int(row["start"])
    return {
        "object": "usage",
        "start": start,
        "end": None if start is None or lasts is None else start + lasts,
        **{name.value: row[name.value] for name in by},
        "requests": requests,
        "prompt_tokens": int(row["prompt_tokens"]),
        "cached_tokens": int(row["cached_tokens"]),
        "completion_tokens": int(row["completion_tokens"]),
        "time_to_first_token_s": row["first_token_s"] / first_tokens if first_tokens else None,
        "duration_s": row["duration_s"] / requests if requests else None,
    }
