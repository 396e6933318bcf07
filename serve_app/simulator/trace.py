"""Recorded traffic as arrivals: this project's own access log, and two published kinds of trace.

- Lines of JSON, as gateways log them (``serve_app.telemetry.access_log``); other lines are skipped.
- Azure LLM inference traces (2023, 2024): CSV, ``TIMESTAMP,ContextTokens,GeneratedTokens``.
- BurstGPT (2024): CSV, ``Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type``.

The published ones know of no adapters: each request gets one by Zipf's law from a seed.
"""

import csv
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from pydantic import BaseModel, ValidationError

from serve_app.errors import ConfigError
from serve_app.simulator.request import Arrival
from serve_app.simulator.workload import Traffic, zipf

Record = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Row:
    """A recorded request. ``adapter`` is None for the base, and where nobody wrote it down."""

    at_s: float
    prompt: int
    output: int
    adapter: str | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Traffic from a file.

    Attributes:
        arrivals: in the order of their times, the first at 0.
        kind: what the file was taken for.
        named: whether adapters are those of the file, or made up.
        skipped: records that were failures, or too long to be served.
    """

    arrivals: tuple[Arrival, ...]
    kind: str
    named: bool
    skipped: int


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read a trace.

    Attributes:
        traffic: how many adapters to make up for a trace without, their popularity, and the base's
            share.
        seed: of that.
        speed: times as fast as it was recorded.
        limit: requests to read at most.
        most_tokens: a request with more, prompt and answer together, is skipped.
    """

    traffic: Traffic
    seed: int = 0
    speed: float = 1.0
    limit: int = 20_000
    most_tokens: int = 8192


def read(path: Path, reading: Reading) -> Trace:
    """The first ``reading.limit`` requests of a trace.

    Raises:
        ConfigError: there is no such file, it is none of these kinds, a line of it is wrong, or
            nothing in it can be served.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            kind, named, rows = _recognised(file)
            taken, skipped = _take(rows, reading)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is no text, so it is no trace") from None
    except (ValueError, csv.Error) as error:
        raise ConfigError(f"{path}: {error}") from None
    if not taken:
        raise ConfigError(f"{path}, taken for {kind}, has no request that can be served")
    return Trace(tuple(_arrivals(taken, named, reading)), kind, named, skipped)


def _recognised(file: Iterator[str]) -> tuple[str, bool, Iterator[Row]]:
    """What the file is, whether it names adapters, and its rows."""
    first = next(file, "").strip()
    if first.startswith("{"):
        return "an access log", True, _of_log(file, first)
    columns = tuple(name.strip() for name in first.split(","))
    for kind, needed, parse in _CSV:
        if set(needed) <= set(columns):
            return kind, False, _of_csv(file, columns, parse)
    known = ", or ".join(",".join(needed) for _, needed, _ in _CSV)
    raise ValueError(
        f"no trace that can be read; it begins with {first[:80]!r}. Known are JSON lines of the "
        f"access log, and CSV with the columns {known}"
    )


REFUSED = (429, 503)
"""Statuses of requests that came and were not taken: they are counted as skipped."""


class _Access(BaseModel):
    """What is needed of an access log's line."""

    status: int
    adapter: str | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    duration_s: float = 0.0


class _Line(BaseModel):
    """A line as Ray Serve's JSON formatter writes it, when the request has ended."""

    access: _Access | None = None
    timestamp_ns: int


def _of_log(file: Iterator[str], first: str) -> Iterator[Row]:
    for line in (first, *file):
        if '"access": {' not in line and '"access":{' not in line:
            continue
        try:
            one = _Line.model_validate_json(line)
        except ValidationError as error:
            what = error.errors(include_url=False)[0]
            raise ValueError(f"{what['msg']} in {line[:80]!r}") from None
        access = one.access
        if access is not None and (access.prompt_tokens or access.status in REFUSED):
            served = access.completion_tokens if access.status < 400 else 0
            began_s = one.timestamp_ns / 1e9 - access.duration_s
            yield Row(began_s, access.prompt_tokens, served, access.adapter)


def _of_csv(
    file: Iterable[str], columns: tuple[str, ...], parse: Callable[[Record], Row]
) -> Iterator[Row]:
    for number, record in enumerate(csv.DictReader(file, columns), start=2):
        try:
            yield parse(record)
        except (ValueError, TypeError):
            said = ",".join(map(str, record.values()))[:80]
            raise ValueError(f"line {number} is wrong: {said!r}") from None


def _azure(record: Record) -> Row:
    at = datetime.fromisoformat(record["TIMESTAMP"])
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return Row(at.timestamp(), int(record["ContextTokens"]), int(record["GeneratedTokens"]))


def _burst_gpt(record: Record) -> Row:
    prompt, output = int(record["Request tokens"]), int(record["Response tokens"])
    return Row(float(record["Timestamp"]), prompt, output)


_CSV = (
    ("an Azure trace", ("TIMESTAMP", "ContextTokens", "GeneratedTokens"), _azure),
    ("a BurstGPT trace", ("Timestamp", "Request tokens", "Response tokens"), _burst_gpt),
)


def _take(rows: Iterable[Row], reading: Reading) -> tuple[list[Row], int]:
    """The first rows that can be served, in the order of their times, and how many cannot."""
    taken, skipped = [], 0
    for row in rows:
        if row.output < 1 or row.prompt < 1 or row.prompt + row.output > reading.most_tokens:
            skipped += 1
            continue
        taken.append(row)
        if len(taken) == reading.limit:
            break
    return sorted(taken, key=lambda row: row.at_s), skipped


def _arrivals(rows: Sequence[Row], named: bool, reading: Reading) -> Iterator[Arrival]:
    numbers: dict[str, int] = {}
    choose = zipf(reading.traffic, Random(reading.seed))
    for row in rows:
        at_s = (row.at_s - rows[0].at_s) / reading.speed
        if not named:
            adapter = choose(at_s)
        else:
            adapter = None if row.adapter is None else numbers.setdefault(row.adapter, len(numbers))
        yield Arrival(at_s, adapter, row.prompt, row.output)
