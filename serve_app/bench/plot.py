"""The results as one picture."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from serve_app.bench.plan import Side
from serve_app.bench.results import Kind, Measure

COLORS = {Side.OURS: "#2a6f97", Side.BARE: "#adb5bd"}
NAMES = {Side.OURS: "serve_app", Side.BARE: "bare vLLM server"}
_WIDTH = 0.38


def draw(path: Path, found: Sequence[Measure], subtitle: str) -> None:
    """Write a PNG: tokens/s, time to first token and CPU time outside the engine, by streams."""
    figure = Figure(figsize=(13, 4), layout="constrained")
    rate, first, outside = figure.subplots(1, 3)
    _bars(rate, "tokens per second", _of(found, Kind.TOKENS))
    _bars(first, "time to first token: p50 and p99, ms", _of(found, Kind.FIRST_P50))
    _marks(first, _of(found, Kind.FIRST_P99))
    _bars(outside, "CPU s per 1,000 tokens outside the engine", _of(found, Kind.CPU))
    rate.legend()
    figure.suptitle(f"one replica beside a bare vLLM server, in one run\n{subtitle}", fontsize=10)
    figure.savefig(path, dpi=130)


def _of(found: Sequence[Measure], kind: Kind) -> list[Measure]:
    return [one for one in found if one.kind is kind]


def _bars(axes: Any, title: str, found: Sequence[Measure]) -> None:
    axes.set_title(title, fontsize=10)
    for side in Side:
        values = [one.value[side] for one in found]
        axes.bar(_places(found, side), values, _WIDTH, color=COLORS[side], label=NAMES[side])
    for place, one in enumerate(found):
        top = max(one.value.values())
        axes.annotate(f"x{one.ratio:.2f}", (place, top), ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(found)), [f"{one.streams} streams" for one in found])
    axes.spines[["top", "right"]].set_visible(False)


def _marks(axes: Any, found: Sequence[Measure]) -> None:
    for side in Side:
        values = [one.value[side] for one in found]
        axes.scatter(_places(found, side), values, marker="_", s=300, color="black")


def _places(found: Sequence[Measure], side: Side) -> list[float]:
    shift = -_WIDTH / 2 if side is Side.OURS else _WIDTH / 2
    return [place + shift for place in range(len(found))]
