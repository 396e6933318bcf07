"""Results for people (tables) and for programs (JSON)."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group
from rich.table import Table

from serve_app.bench.plan import Load, Side
from serve_app.bench.results import (
    Kind,
    Measure,
    Sample,
    Samples,
    cores,
    cpu_per_1000_tokens,
    measures,
    of,
)
from serve_app.bench.roles import ON_THE_PATH, OUTSIDE_THE_ENGINE, Role

NOISY_CORES = 0.1
"""Others may use this much of the machine before the numbers are called unsure."""

_TITLES = {
    Kind.TOKENS: "tokens/s",
    Kind.FIRST_P50: "time to first token p50, ms",
    Kind.FIRST_P99: "time to first token p99, ms",
    Kind.REQUESTS: "requests/s of one token",
    Kind.CPU: "CPU s/1,000 tokens outside engine",
}


def tables(samples: Samples) -> Group:
    """What to print: the measures with their ratios, where the CPU time goes, and doubts."""
    return Group(_results(measures(samples)), _cpu(samples), *remarks(samples))


def where(setup: Mapping[str, Any]) -> str:
    """Machine and versions in a line."""
    versions = ", ".join(f"{name} {text}" for name, text in setup["versions"].items())
    return f"{setup['date']}: {setup['cores']} cores of {setup['cpu']}; {versions}"


def line(sample: Sample) -> str:
    """One sample, while others are still to come."""
    name = f"round {sample.round}" if sample.round else "warm-up"
    rate = sample.burst.tokens / sample.burst.wall_s
    first_ms = 1000 * max(sample.burst.first_s)
    what = f"{rate:,.0f} tokens/s, first token within {first_ms:,.0f} ms"
    return f"{name}: {sample.load.name}, {sample.side}: {what}"


def remarks(samples: Samples) -> list[str]:
    """What may have disturbed the run."""
    idle = {
        side: cores([one for one in samples if one.side is not side], lambda one: one.idle_s)
        for side in Side
    }
    found = [
        "Cores used while idle, the other side being measured: "
        + ", ".join(f"{side} {used:.2f}" for side, used in idle.items())
    ]
    strangers = cores(samples, lambda one: one.used_s[Role.STRANGERS])
    if strangers > NOISY_CORES:
        found.append(f"Unsure: programs that have no part in this used {strangers:.2f} cores.")
    return found


def write(path: Path, setup: Mapping[str, Any], samples: Samples) -> None:
    """The results, how they came about, and every sample behind them."""
    content = {
        "setup": setup,
        "results": {f"{one.kind}_{one.streams}": _as_json(one) for one in measures(samples)},
        "remarks": remarks(samples),
        "samples": [_sample_as_json(one) for one in samples],
    }
    path.write_text(json.dumps(content, indent=2) + "\n")


def _results(found: Sequence[Measure]) -> Table:
    columns = ("measure", "streams", "ours", "bare", "ours/bare")
    table = _table("serve_app beside a bare vLLM server", *columns)
    kind = found[0].kind
    for one in found:
        if one.kind is not kind:
            table.add_section()
            kind = one.kind
        values = [_number(one.value[side]) for side in Side]
        table.add_row(_TITLES[kind], str(one.streams), *values, f"{one.ratio:.2f}")
    return table


def _cpu(samples: Samples) -> Table:
    """CPU time by role under the largest load."""
    load = largest(samples)
    table = _table(f"CPU s per 1,000 tokens, {load.name}", "part", "ours", "bare")
    sums = {"on the path": ON_THE_PATH, "outside the engine": OUTSIDE_THE_ENGINE}
    parts = {role.value: (role,) for role in Role}
    for name, roles in {**parts, **sums}.items():
        costs = [cpu_per_1000_tokens(of(samples, side, load), roles) for side in Side]
        if name == "on the path":
            table.add_section()
        table.add_row(name, *(f"{cost:.3f}" if cost else "" for cost in costs))
    return table


def _table(title: str, first: str, *others: str) -> Table:
    table = Table(first, title=title, title_justify="left")
    for column in others:
        table.add_column(column, justify="right")
    return table


def largest(samples: Samples) -> Load:
    """The load with most streams."""
    streamed = [sample.load for sample in samples if sample.load.streamed]
    return max(streamed, key=lambda load: load.streams)


def _as_json(one: Measure) -> dict[str, Any]:
    return {
        **{side.value: _rounded(one.value[side]) for side in Side},
        "ratio": _rounded(one.ratio),
        "rounds": {side.value: [_rounded(value) for value in one.rounds[side]] for side in Side},
    }


def _sample_as_json(one: Sample) -> dict[str, Any]:
    return {
        "side": one.side.value,
        "round": one.round,
        "load": one.load.name,
        "requests": one.load.requests,
        "tokens": one.burst.tokens,
        "wall_s": _rounded(one.burst.wall_s),
        "first_s": [_rounded(value) for value in one.burst.first_s],
        "cpu_s": {role.value: _rounded(value) for role, value in one.used_s.items()},
        "idle_side_cpu_s": _rounded(one.idle_s),
    }


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
