"""The command: how many customers a GPU serves, by ``max_loras`` and ``max_lora_rank``.

Each customer has one adapter of rank 16 and asks once in 20 s on average, the popular ones more
often (Zipf). A GPU serves so many if 99% of requests get their first token in 1 s and every
further one in 50 ms. ``max_cpu_loras`` is ample: every adapter that was loaded stays in memory.
"""

import csv
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from itertools import product
from pathlib import Path
from random import Random
from typing import Annotated, Any

import typer
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import track
from rich.table import Table

from serve_app.simulator.fleet import Setup
from serve_app.simulator.gpu import GPUS, LLAMA_8B, GpuName, LoraSetting, kv_tokens, machine
from serve_app.simulator.request import Arrival
from serve_app.simulator.sizing import largest
from serve_app.simulator.sweep import Goal, Setting, Traces, run, spread
from serve_app.simulator.workload import Traffic, steady

SAID = Console(stderr=True, highlight=False)
CORES = os.cpu_count() or 1
SHARE = 0.99
EVERY_S = 20.0
REPLICAS = 2
STEP = 5  # customers a GPU by which numbers are told apart
MOST = 1000
WARM_UP = 1 / 3
TRAFFIC = Traffic(duration_s=90.0, zipf=1.0, base_share=0.0, prompt=250, output=100)

CARDS = (GpuName.H100, GpuName.L40S)
RANKS = (16, 64, 128)
SLOTS = (2, 4, 8, 16, 24, 32, 48, 64, 96, 128)
SAYS = (
    f"a customer has one adapter and asks once in {EVERY_S:g} s; "
    f"{100 * SHARE:g}% of first tokens in 1 s, 50 ms a token"
)
COLORS = ("#2a6f97", "#e09f3e", "#9e2a2b")

Out = Annotated[Path, typer.Option(help="Where the numbers and the picture go.")]
Seeds = Annotated[int, typer.Option(min=1, max=20, help="Seeds of each number of customers.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes at once.")]
Quick = Annotated[bool, typer.Option("--quick", help="A few points in seconds; no result.")]


@dataclass(frozen=True, slots=True)
class Point:
    """A setting, and how many customers one GPU serves with it.

    Attributes:
        kv_tokens: for which the slots leave room in the KV cache.
        customers: None if vLLM would not start for want of memory.
    """

    gpu: GpuName
    max_lora_rank: int
    max_loras: int
    kv_tokens: int
    customers: int | None


def main(
    out: Out = Path(".bench"),
    seeds: Seeds = 3,
    jobs: Jobs = CORES,
    quick: Quick = False,
) -> None:
    """How many customers a GPU serves, by max_loras and max_lora_rank; a table and a picture."""
    slots, traffic = (SLOTS[2:4], replace(TRAFFIC, duration_s=9.0)) if quick else (SLOTS, TRAFFIC)
    work = list(product(CARDS[: 1 if quick else None], RANKS, slots))
    done = spread(partial(_point, traffic=traffic, seeds=1 if quick else seeds), work, jobs)
    points = list(track(done, "simulating", len(work), console=SAID))
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "slots.csv", points)
    draw(out / "slots.png", points)
    Console().print(table(points))
    SAID.print(f"written: {out / 'slots.csv'}, {out / 'slots.png'}")


def customers(one: Setting, traffic: Traffic, seeds: int) -> int:
    """How many customers each of ``REPLICAS`` replicas serves, to the nearest ``STEP`` below."""

    def served(steps: int) -> bool:
        number = steps * STEP * REPLICAS
        grown = replace(traffic, adapters=number, rate=number / EVERY_S)
        traces = Traces(tuple(_arrivals(grown, seed) for seed in range(seeds)), WARM_UP)
        return run(one, REPLICAS, traces, Goal()).outcome.within >= SHARE

    return STEP * largest(served, MOST // STEP)


def table(points: Sequence[Point]) -> Table:
    """Customers a GPU, one line a GPU and rank."""
    slots = sorted({one.max_loras for one in points})
    shown = Table(title="customers a GPU serves, by rank and max_loras", title_justify="left")
    for name in ("GPU", "rank", *map(str, slots)):
        shown.add_column(name, justify="right")
    for gpu, rank in dict.fromkeys((one.gpu, one.max_lora_rank) for one in points):
        line = [one for one in points if (one.gpu, one.max_lora_rank) == (gpu, rank)]
        numbers = ["-" if one.customers is None else str(one.customers) for one in line]
        shown.add_row(gpu, str(rank), *numbers)
    return shown


def draw(path: Path, points: Sequence[Point]) -> None:
    """Write a PNG: a panel for each GPU, a line for each rank."""
    gpus = list(dict.fromkeys(one.gpu for one in points))
    figure = Figure(figsize=(4.8 * len(gpus), 3.8), layout="constrained")
    for axes, gpu in zip(figure.subplots(1, len(gpus), squeeze=False)[0], gpus, strict=True):
        for rank, color in zip(RANKS, COLORS, strict=True):
            line = [one for one in points if (one.gpu, one.max_lora_rank) == (gpu, rank)]
            _line(axes, line, f"max_lora_rank {rank}", color)
        memory = round(GPUS[gpu].memory / 2**30)
        axes.set_title(f"Llama 3.1 8B on one {gpu.upper()} ({memory} GiB)", fontsize=10)
        axes.set_xlabel("max_loras")
        axes.set_ylabel("customers a GPU serves")
        axes.set_ylim(bottom=0)
        axes.grid(axis="y", alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(fontsize=8, frameon=False)
    figure.suptitle(f"{SAYS}; x: more slots do not fit", fontsize=9)
    figure.savefig(path, dpi=110)


def _line(axes: Any, points: Sequence[Point], label: str, color: str) -> None:
    """Ends with an x where more slots leave too little memory."""
    known = [(one.max_loras, one.customers) for one in points if one.customers is not None]
    if not known:
        return
    axes.plot(*zip(*known, strict=True), marker="o", markersize=4, color=color, label=label)
    if len(known) < len(points):
        axes.plot(*known[-1], marker="x", markersize=11, markeredgewidth=2, color=color)


def _point(work: tuple[GpuName, int, int], traffic: Traffic, seeds: int) -> Point:
    gpu, rank, slots = work
    lora = LoraSetting(max_loras=slots, max_lora_rank=rank, max_cpu_loras=2 * MOST)
    tokens = kv_tokens(GPUS[gpu], LLAMA_8B, lora)
    if tokens < lora.max_model_len:
        return Point(gpu, rank, slots, max(0, tokens), None)
    one = Setting("serve_app", machine(GPUS[gpu], LLAMA_8B, lora), rank, Setup())
    return Point(gpu, rank, slots, tokens, customers(one, traffic, seeds))


def _arrivals(traffic: Traffic, seed: int) -> tuple[Arrival, ...]:
    return tuple(steady(traffic, Random(f"slots {seed}")))


def _write(path: Path, points: Sequence[Point]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(asdict(one) for one in points)


if __name__ == "__main__":
    typer.run(main)
