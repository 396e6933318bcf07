"""``python -m serve_app.bench.slots``: ways to share an engine's LoRA slots, side by side.

Two loads, each on an engine of its own for every way: one busy adapter in the only slot while
another has short questions, and eight busy adapters on two slots.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from serve_app.adapters.version import WEIGHTS_FILE, Version, digest_of
from serve_app.bench.derive import engine_environment
from serve_app.bench.slot_loads import Asked, Clients, Way, all_busy, one_busy, run, ways
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


@dataclass(frozen=True)
class Contest:
    """A load, the slots it is put on, and what is measured of it: column title -> number."""

    title: str
    slots: int
    clients: Clients
    measure: Callable[[Sequence[Asked], float, int], Measured]


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
            lambda asked, seconds, rounds: {
                "tokens/s of the busy": _tokens_s(asked, seconds * rounds, busy),
                **_waits("answer to a question", asked, seconds, short, ended=True),
            },
        ),
        Contest(
            f"{len(adapters)} busy adapters, two slots",
            2,
            all_busy(adapters),
            lambda asked, seconds, rounds: {
                "tokens/s": _tokens_s(asked, seconds * rounds),
                **_waits("first token", asked, seconds),
            },
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
    asked: dict[str, list[Asked]] = {way.name: [] for way in rivals}
    async with AsyncExitStack() as stack:
        SAID.print(f"{contest.title}: starting {len(rivals)} engines ...")
        engines = [
            await stack.enter_async_context(_engine(way.settings(settings, contest.slots), folders))
            for way in rivals
        ]
        for number in range(rounds):
            for way, engine in zip(rivals, engines, strict=True):
                SAID.print(f"round {number + 1} of {rounds}: {way.name} ...")
                gate = way.gate(contest.slots)
                asked[way.name] += await run(engine, gate, contest.clients, seconds)
    return {
        name: contest.measure(everything, seconds, rounds) for name, everything in asked.items()
    }


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


def _tokens_s(asked: Sequence[Asked], seconds: float, adapter: str | None = None) -> float:
    return sum(one.tokens for one in asked if adapter in (None, one.adapter)) / seconds


def _waits(
    what: str,
    asked: Sequence[Asked],
    seconds: float,
    adapter: str | None = None,
    ended: bool = False,
) -> Measured:
    """Seconds waited at the median, at 99 %, at worst. Rounds end after ``seconds``: whoever had no
    answer by then has waited until then."""
    waits = [
        ((one.ended if ended else one.first) or seconds) - one.at
        for one in asked
        if adapter in (None, one.adapter)
    ]
    p50, p99 = np.quantile(waits, (0.5, 0.99))
    return {f"{what}, p50 s": p50, "p99 s": p99, "worst s": max(waits)}


if __name__ == "__main__":
    typer.run(main)
