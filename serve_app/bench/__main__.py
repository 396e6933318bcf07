"""The command: options in, tables, JSON and a picture out."""

import asyncio
import signal
from collections.abc import Coroutine, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from serve_app.bench import flames, machine, plot, report
from serve_app.bench.bench import measure
from serve_app.bench.launches import Contest, contest
from serve_app.bench.plan import QUICK, Plan, Side
from serve_app.bench.results import Sample, Samples, measures
from serve_app.bench.sides import SideFailed, running
from serve_app.cli.config_file import read
from serve_app.cli.exits import CONFIG_REFUSED, FAILED, STOPPED
from serve_app.errors import ConfigError

INTERRUPTED = 130
SAID = Console(stderr=True, highlight=False)
"""Progress and problems; standard output carries the results alone."""

COLUMNS = (
    TextColumn("{task.description}"),
    BarColumn(),
    MofNCompleteColumn(),
    TimeRemainingColumn(),
)

Config = Annotated[Path, typer.Option(help="A Ray Serve config file of this application.")]
Out = Annotated[Path, typer.Option(help="Where results, logs and the picture go.")]
Rounds = Annotated[int | None, typer.Option(min=1, help="Rounds, after one that warms up.")]
Tokens = Annotated[int | None, typer.Option(min=2, help="Tokens each stream generates.")]
Streams = Annotated[str | None, typer.Option(help="Numbers of streams, as in 1,16,64.")]
Quick = Annotated[bool, typer.Option("--quick", help="A look in two minutes, not a result.")]
Profile = Annotated[bool, typer.Option("--profile", help="Then flame graphs, by py-spy.")]


def main(
    config: Config = Path("configs/demo.yaml"),
    out: Out = Path(".bench"),
    rounds: Rounds = None,
    tokens: Tokens = None,
    streams: Streams = None,
    quick: Quick = False,
    profile: Profile = False,
) -> None:
    """Compare one replica of this application with a bare vLLM server, measured in turns.

    Both run the same engine with the settings of the config, at the same time, on this machine.
    """
    plan = planned(quick, rounds, tokens, streams)
    raise typer.Exit(_run(config, out, plan, profile))


def planned(quick: bool, rounds: int | None, tokens: int | None, streams: str | None) -> Plan:
    """The plan with what was asked for put into it."""
    plan = QUICK if quick else Plan()
    return replace(
        plan,
        rounds=rounds or plan.rounds,
        tokens=tokens or plan.tokens,
        streams=_numbers(streams) if streams else plan.streams,
    )


def _numbers(text: str) -> tuple[int, ...]:
    try:
        numbers = tuple(sorted({int(word) for word in text.split(",")}))
    except ValueError:
        numbers = (0,)
    if numbers[0] < 1:
        raise typer.BadParameter(f"not numbers of streams: {text}", param_hint="--streams")
    return numbers


def _run(path: Path, out: Path, plan: Plan, profile: bool) -> int:
    out.mkdir(parents=True, exist_ok=True)
    try:
        config = read(path)
        sides = contest(config, out)
        setup = machine.setup(config, sides, plan)
        samples = asyncio.run(_interruptible(_measure(sides, plan, out, profile)))
    except ConfigError as error:
        return _failed(error, CONFIG_REFUSED)
    except SideFailed as error:
        return _failed(error, FAILED)
    except asyncio.CancelledError:
        return _failed("interrupted", INTERRUPTED)
    _report(samples, setup, out)
    return STOPPED


async def _interruptible(work: Coroutine[Any, Any, Samples]) -> Samples:
    """Ctrl-C and its like cancel the work, so that it ends in order."""
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await work


async def _measure(sides: Contest, plan: Plan, out: Path, profile: bool) -> Samples:
    SAID.print("starting both servers, which takes about a minute ...")
    async with running([sides.launches[side] for side in Side]) as started:
        servers = dict(zip(Side, started, strict=True))
        with Progress(*COLUMNS, console=SAID) as progress:
            bar = progress.add_task("measuring", total=len(plan))

            def on_sample(sample: Sample) -> None:
                progress.advance(bar)
                progress.console.print(report.line(sample))

            samples = await measure(servers, sides.targets, plan, on_sample)
        if profile:
            SAID.print("profiling ...")
            await flames.record(servers[Side.OURS], report.largest(samples), sides.targets, out)
        SAID.print("stopping both servers ...")
    return samples


def _report(samples: Samples, setup: Mapping[str, Any], out: Path) -> None:
    report.write(out / "bench.json", setup, samples)
    plot.draw(out / "bench.png", measures(samples), report.where(setup))
    Console().print(report.where(setup), report.tables(samples), sep="\n")
    SAID.print(f"written: {', '.join(str(path) for path in sorted(out.iterdir()))}")


def _failed(why: object, code: int) -> int:
    SAID.print(f"error: {why}", markup=False, soft_wrap=True)
    return code


if __name__ == "__main__":
    typer.run(main)
