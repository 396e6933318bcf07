"""The command: every routing policy over every cell and seed; tables and a picture out."""

import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import track

from serve_app.simulator import decisions, report
from serve_app.simulator.baselines import POLICIES
from serve_app.simulator.cells import CELLS, REPORTED_SEEDS, Cell
from serve_app.simulator.outcome import Outcome
from serve_app.simulator.tally import Outcomes

SAID = Console(stderr=True, highlight=False)
QUICK_REPLICAS = 4
CORES = os.cpu_count() or 1

Job = tuple[Cell, str, int]

Out = Annotated[Path, typer.Option(help="Where the numbers and the picture go.")]
Seeds = Annotated[int, typer.Option(min=1, max=100, help="Seeds of each cell.")]
Jobs = Annotated[int, typer.Option(min=1, help="Processes at once.")]
Shed = Annotated[bool, typer.Option(help="Refuse requests that would wait long: all or none do.")]
Quick = Annotated[bool, typer.Option("--quick", help="A small fleet for seconds; no result.")]


def main(
    out: Out = Path(".bench"),
    seeds: Seeds = 3,
    jobs: Jobs = CORES,
    shed: Shed = True,
    quick: Quick = False,
) -> None:
    """Compare routing policies on a simulated fleet: the same requests, replicas and seeds."""
    cells = [_quick(cell) if quick else cell for cell in CELLS]
    cells = [replace(cell, setup=replace(cell.setup, shedding=shed)) for cell in cells]
    outcomes = compare(cells, REPORTED_SEEDS[: 1 if quick else seeds], jobs)
    out.mkdir(parents=True, exist_ok=True)
    _write(out / "routing.csv", outcomes)
    report.draw(out / "routing.png", outcomes)
    fleets = decisions.FLEETS[: 1 if quick else None]
    Console(width=200).print(
        report.summary(outcomes), report.by_cell(outcomes), decisions.table(fleets)
    )
    SAID.print(f"written: {out / 'routing.csv'}, {out / 'routing.png'}")


def compare(cells: Sequence[Cell], seeds: Sequence[int], jobs: int) -> Outcomes:
    """Run every policy over every cell and seed."""
    work = [(cell, name, seed) for name in POLICIES for cell in cells for seed in seeds]
    done = track(_done(work, jobs), "simulating", len(work), console=SAID)
    return {(name, cell.name, seed): one for (cell, name, seed), one in done}


def _done(work: list[Job], jobs: int) -> Iterator[tuple[Job, Outcome]]:
    if jobs == 1:
        yield from ((job, _run(job)) for job in work)
        return
    with get_context("spawn").Pool(jobs) as pool:
        yield from zip(work, pool.imap(_run, work), strict=True)


def _run(job: Job) -> Outcome:
    cell, name, seed = job
    return cell.run(POLICIES[name], seed)


def _quick(cell: Cell) -> Cell:
    """The same situation on a fleet a quarter as large, for a tenth of the time."""
    share = QUICK_REPLICAS / cell.setup.replicas
    traffic = replace(
        cell.traffic,
        rate=cell.traffic.rate * share,
        adapters=int(cell.traffic.adapters * share),
        duration_s=8.0,
    )
    deaths = tuple(replace(one, at_s=4.0, back_after_s=2.0) for one in cell.setup.deaths)
    return replace(
        cell, traffic=traffic, setup=replace(cell.setup, replicas=QUICK_REPLICAS, deaths=deaths)
    )


def _write(path: Path, outcomes: Outcomes) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["policy", "cell", "seed", *Outcome.__dataclass_fields__])
        for key, one in outcomes.items():
            writer.writerow([*key, *asdict(one).values()])


if __name__ == "__main__":
    typer.run(main)
