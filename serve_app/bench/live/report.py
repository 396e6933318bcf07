"""Results for people (a table, a picture) and for programs (CSV)."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from serve_app.bench.live.results import VALUES, Block, Blocks, Kind, of, ratio
from serve_app.bench.live.routings import Routing

COLOR, OTHER = "#2a6f97", "#adb5bd"


def table(blocks: Blocks) -> Table:
    """A row for each routing; beside each number ours to it, median and range of the rounds."""
    rounds = len(of(blocks, Routing.OURS))
    title = f"four routings on the same engines, {rounds} rounds; (ours to it: median, range)"
    made = Table("routing", title=title, title_justify="left")
    for kind in Kind:
        made.add_column(kind.value, justify="right")
    made.add_column("requests", justify="right")
    made.add_column("refused", justify="right")
    for routing in Routing:
        theirs = of(blocks, routing)
        cells = [_cell(blocks, kind, routing) for kind in Kind]
        requests = sum(len(block.asked) for block in theirs)
        refused = sum(block.refused for block in theirs)
        made.add_row(routing.value, *cells, f"{requests:,}", str(refused))
    return made


def line(block: Block) -> str:
    """One block, while others are still to come."""
    p50, p99, loads, tokens = (VALUES[kind]([block]) for kind in Kind)
    return (
        f"round {block.number}: {block.routing}: first token {p50:,.0f} / {p99:,.0f} ms, "
        f"{loads:,.0f} loads in 1,000 requests, {tokens:,.0f} tokens/s"
    )


def write(path: Path, blocks: Blocks) -> None:
    """A line for each block."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["round", "routing", *(kind.name.lower() for kind in Kind), *_COUNTS])
        for block in blocks:
            values = [f"{VALUES[kind]([block]):.5g}" for kind in Kind]
            counts = (len(block.asked), block.refused, block.loads)
            writer.writerow([block.number, block.routing.value, *values, *counts])


_COUNTS = ("requests", "refused", "loaded")


def draw(path: Path, blocks: Blocks, subtitle: str) -> None:
    """Write a PNG: a bar for each routing and measure, a dot for each round."""
    figure = Figure(figsize=(14, 3.6), layout="constrained")
    for axes, kind in zip(figure.subplots(1, len(Kind)), Kind, strict=True):
        _bars(axes, kind, blocks)
    figure.suptitle(f"four routings on the same engines, in one run\n{subtitle}", fontsize=10)
    figure.savefig(path, dpi=130)


def _bars(axes: Any, kind: Kind, blocks: Blocks) -> None:
    names: Sequence[Routing] = list(Routing)[::-1]
    for place, routing in enumerate(names):
        theirs = of(blocks, routing)
        color = COLOR if routing is Routing.OURS else OTHER
        axes.barh(place, VALUES[kind](theirs), color=color)
        rounds = [VALUES[kind]([block]) for block in theirs]
        axes.scatter(rounds, [place] * len(rounds), s=9, color="black", zorder=2)
    axes.set_yticks(range(len(names)), [routing.value for routing in names])
    axes.set_title(kind.value, fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)


def _cell(blocks: Blocks, kind: Kind, routing: Routing) -> str:
    value = _number(VALUES[kind](of(blocks, routing)))
    found = None if routing is Routing.OURS else ratio(blocks, kind, routing)
    if found is None:
        return value
    return f"{value} ({found.median:.2f}, {found.least:.2f}-{found.most:.2f})"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
