"""The command: options in, a table, CSV and a picture out."""

import asyncio
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.progress import Progress

from serve_app.bench import machine
from serve_app.bench.live import report
from serve_app.bench.live.derive import MAX_CPU_LORAS, MAX_LORAS, launch
from serve_app.bench.live.measuring import measure, sustainable
from serve_app.bench.live.plan import QUICK, Plan
from serve_app.bench.live.results import Block, whole_rounds
from serve_app.bench.report import where
from serve_app.bench.sides import SideFailed, running
from serve_app.cli.config_file import ConfigFile, read
from serve_app.cli.exits import CONFIG_REFUSED, FAILED, STOPPED
from serve_app.errors import ConfigError

INTERRUPTED = 130
WIDTH = 150
SAID = Console(stderr=True, highlight=False)
"""Progress and problems; standard output carries the results alone."""

Config = Annotated[Path, typer.Option(help="A Ray Serve config file of this application.")]
Out = Annotated[Path, typer.Option(help="Where results, logs and the picture go.")]
Rounds = Annotated[int | None, typer.Option(min=1, help="Rounds of a block for each routing.")]
Seconds = Annotated[float | None, typer.Option(min=2, help="Seconds of a block.")]
Replicas = Annotated[int, typer.Option(min=2, help="Engines.")]
Adapters = Annotated[int, typer.Option(min=5, help="Adapters, made from those of the config.")]
Load = Annotated[float, typer.Option(min=0.05, max=2, help="Share of what the engines can do.")]
Rate = Annotated[float | None, typer.Option(min=0.1, help="Requests a second, in its place.")]
Seed = Annotated[int, typer.Option(help="Of the requests.")]
Quick = Annotated[bool, typer.Option("--quick", help="A look in a minute, not a result.")]


def main(
    config: Config = Path("configs/demo.yaml"),
    out: Out = Path(".bench"),
    rounds: Rounds = None,
    seconds: Seconds = None,
    replicas: Replicas = 2,
    adapters: Adapters = 24,
    load: Load = Plan.load,
    rate: Rate = None,
    seed: Seed = Plan.seed,
    quick: Quick = False,
) -> None:
    """Compare routings on real Ray Serve and real vLLM: ours, and Ray's own.

    All place the same requests on the same engines, in blocks that take turns.
    """
    plan = QUICK if quick else Plan()
    plan = replace(
        plan,
        rounds=rounds or plan.rounds,
        block_s=seconds or plan.block_s,
        warm_s=(seconds or plan.block_s) / 4,
        replicas=replicas,
        adapters=adapters,
        load=load,
        seed=seed,
    )
    raise typer.Exit(_run(config, out, plan, rate))


def _run(path: Path, out: Path, plan: Plan, rate: float | None) -> int:
    out.mkdir(parents=True, exist_ok=True)
    run = _Run(out, plan, rate)
    try:
        asyncio.run(run.interruptible(read(path)))
    except ConfigError as error:
        return _failed(error, CONFIG_REFUSED)
    except SideFailed as error:
        return _failed(error, FAILED)
    except asyncio.CancelledError:
        run.report()
        return _failed("interrupted", INTERRUPTED)
    run.report()
    return STOPPED


class _Run:
    """A run, and what there is of it when it is interrupted."""

    def __init__(self, out: Path, plan: Plan, rate: float | None) -> None:
        self._out = out
        self._plan = plan
        self._rate = rate
        self._blocks: list[Block] = []

    async def interruptible(self, config: ConfigFile) -> None:
        """Ctrl-C and its like cancel the work, so that it ends in order."""
        task = asyncio.current_task()
        assert task is not None
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
        await self._measure(config)

    async def _measure(self, config: ConfigFile) -> None:
        plan = self._plan
        started, loads = launch(config, plan, self._out)
        SAID.print(f"starting {plan.replicas} engines, which takes about a minute ...")
        async with running([started]) as (server,):
            most = await sustainable(server, plan)
            self._rate = self._rate or plan.load * most
            SAID.print(f"they can do {most:.1f} requests/s; {self._rate:.1f} are asked of them")
            with Progress(console=SAID) as progress:
                bar = progress.add_task("measuring", total=len(plan))

                def on_block(block: Block) -> None:
                    self._blocks.append(block)
                    progress.advance(bar)
                    progress.console.print(report.line(block), soft_wrap=True)

                await measure(server, plan, self._rate, loads, on_block)
            SAID.print("stopping ...")

    def report(self) -> None:
        """Print and write the rounds that are complete."""
        blocks = whole_rounds(self._blocks)
        if not blocks or self._rate is None:
            return
        setup, out = says(self._plan, self._rate), self._out
        report.write(out / "live.csv", blocks)
        report.draw(out / "live.png", blocks, setup)
        width = max(WIDTH, Console().width)
        Console(width=width, highlight=False).print(setup, report.table(blocks))
        SAID.print(f"written: {out / 'live.csv'}, {out / 'live.png'}")


def says(plan: Plan, rate: float) -> str:
    """The setup in a few lines."""
    facts: dict[str, Any] = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": machine.cpu_model(Path("/proc/cpuinfo").read_text().splitlines()),
        "cores": psutil.cpu_count(),
        "versions": machine.versions(),
    }
    return (
        f"{where(facts)}\n{plan.replicas} engines with {MAX_LORAS} LoRA slots and room for "
        f"{MAX_CPU_LORAS} adapters each, {plan.adapters} adapters, Zipf {plan.zipf:g}, "
        f"{rate:.1f} requests/s (Poisson, {plan.clients} clients), "
        f"blocks of {plan.block_s:g} s of which {plan.warm_s:g} s warm up; nobody is refused"
    )


def _failed(why: object, code: int) -> int:
    SAID.print(f"error: {why}", markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    typer.run(main)
