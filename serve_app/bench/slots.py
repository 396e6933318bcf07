"""``python -m serve_app.bench.slots``: ways to share an engine's LoRA slots, side by side.

Two loads, each on an engine of its own for every way: one busy adapter in the only slot while
another has short questions, and eight busy adapters on two slots.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import numpy as np
import psutil
import typer
from rich.console import Console
from rich.table import Table

from serve_app.adapters.version import WEIGHTS_FILE, Version, digest_of
from serve_app.bench.derive import engine_environment
from serve_app.bench.slot_loads import Asked, Clients, Gate, Way, all_busy, one_busy, run, ways
from serve_app.configuration import parse, read_yaml
from serve_app.engine.interface import Engine
from serve_app.engine.vllm_engine import VllmEngine
from serve_app.settings import EngineSettings

SAID = Console(stderr=True, highlight=False)
QUIET = {"VLLM_LOGGING_LEVEL": "ERROR", "VLLM_NO_USAGE_STATS": "1"}
Measured = dict[str, float]

Config = Annotated[Path, typer.Option(help="A Ray Serve config file of this application.")]
Adapters = Annotated[Path, typer.Option(help="A folder of adapters.")]
Seconds = Annotated[float, typer.Option(min=5, help="How long each load lasts.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each way takes its turn.")]
Turn = Annotated[float, typer.Option(min=0.01, help="Seconds of an adapter's turn.")]


@dataclass
class Observed:
    """What was seen of one way: its requests, in ``rounds`` rounds of ``seconds`` each.

    Attributes:
        cpu_s: CPU time of the engine.
    """

    seconds: float
    rounds: int = 0
    cpu_s: float = 0.0
    asked: list[Asked] = field(default_factory=list)


@dataclass(frozen=True)
class Contest:
    """A load, the slots it is put on, and what is measured of it: column title -> number."""

    title: str
    slots: int
    clients: Clients
    measure: Callable[[Observed], Measured]


def main(
    config: Config = Path("configs/demo.yaml"),
    adapters: Adapters = Path(".demo/adapters"),
    seconds: Seconds = 10.0,
    rounds: Rounds = 3,
    turn: Turn = 0.5,
) -> None:
    """Measure ways to share LoRA slots, each on a real engine of its own, in turns."""
    content = read_yaml(config)
    os.environ.update({**engine_environment(content), **QUIET})
    logging.getLogger("vllm").setLevel(logging.ERROR)
    settings = parse(EngineSettings, content["applications"][0]["args"]["engine"], "engine")
    folders = {_version(folder): folder for folder in sorted(adapters.iterdir())}
    for contest in contests(list(folders)):
        found = asyncio.run(_hold(contest, ways(turn), settings, folders, seconds, rounds))
        Console().print(table(contest.title, found))


def contests(adapters: Sequence[Version]) -> list[Contest]:
    """What is measured."""
    busy, short = adapters[0].adapter, adapters[1].adapter
    return [
        Contest(
            "one slot, six busy clients on one adapter, 4-token questions to another",
            1,
            one_busy(adapters),
            lambda seen: {**_speed(seen, busy), **_waits("answer", seen, short, ended=True)},
        ),
        Contest(
            f"{len(adapters)} busy adapters, two slots",
            2,
            all_busy(adapters),
            lambda seen: {**_speed(seen), **_waits("first token", seen)},
        ),
    ]


def table(title: str, found: dict[str, Measured]) -> Table:
    """A row for each way, beside each number its ratio to the first way's."""
    (first, *_) = found.values()
    made = Table("", title=title, title_justify="left")
    for name in first:
        made.add_column(name, justify="right")
    for way, numbers in found.items():
        cells = [f"{value:,.3g} ({value / first[name]:.2f})" for name, value in numbers.items()]
        made.add_row(way, *cells)
    return made


async def _hold(
    contest: Contest,
    rivals: Sequence[Way],
    settings: EngineSettings,
    folders: Mapping[Version, Path],
    seconds: float,
    rounds: int,
) -> dict[str, Measured]:
    """All engines up, one asked at a time, the others idle; then everything asked of each."""
    found = {way.name: Observed(seconds) for way in rivals}
    async with AsyncExitStack() as stack:
        SAID.print(f"{contest.title}: starting {len(rivals)} engines ...")
        engines = [
            await stack.enter_async_context(_engine(way.settings(settings, contest.slots), folders))
            for way in rivals
        ]
        for number in range(rounds):
            for way, engine in zip(rivals, engines, strict=True):
                SAID.print(f"round {number + 1} of {rounds}: {way.name} ...")
                await _round(found[way.name], engine, way.gate(contest.slots), contest.clients)
    return {name: contest.measure(seen) for name, seen in found.items()}


async def _round(seen: Observed, engine: Engine, gate: Gate, clients: Clients) -> None:
    before = _engines_cpu_s()
    seen.asked += await run(engine, gate, clients, seen.seconds)
    seen.cpu_s += _engines_cpu_s() - before
    seen.rounds += 1


def _engines_cpu_s() -> float:
    """CPU time of all engines, of which one has work at a time."""
    times = [child.cpu_times() for child in psutil.Process().children(recursive=True)]
    return sum(spent.user + spent.system for spent in times)


@asynccontextmanager
async def _engine(
    settings: EngineSettings, folders: Mapping[Version, Path]
) -> AsyncIterator[Engine]:
    engine = VllmEngine(settings)
    await engine.start()
    try:
        for number, (version, folder) in enumerate(folders.items(), start=1):
            await engine.load_adapter(version, folder.absolute(), number)
        yield engine
    finally:
        engine.stop()


def _version(folder: Path) -> Version:
    size = (folder / WEIGHTS_FILE).stat().st_size
    return Version(folder.name, 1, digest_of(folder), rank=16, size_bytes=size)


def _speed(seen: Observed, adapter: str | None = None) -> Measured:
    tokens = sum(one.tokens for one in seen.asked if adapter in (None, one.adapter))
    return {
        "busy tokens/s" if adapter else "tokens/s": tokens / (seen.seconds * seen.rounds),
        "tokens/CPU s": sum(one.tokens for one in seen.asked) / seen.cpu_s,
    }


def _waits(what: str, seen: Observed, adapter: str | None = None, ended: bool = False) -> Measured:
    """Seconds waited at the median, at 99 %, at worst. Whoever had no answer when its round ended
    has waited until then."""
    waits = [
        ((one.ended if ended else one.first) or seen.seconds) - one.at
        for one in seen.asked
        if adapter in (None, one.adapter)
    ]
    p50, p99 = np.quantile(waits, (0.5, 0.99))
    return {f"{what} p50, s": p50, "p99, s": p99, "worst, s": max(waits)}


if __name__ == "__main__":
    typer.run(main)
