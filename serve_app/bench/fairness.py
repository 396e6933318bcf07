"""``python -m serve_app.bench.fairness``: tenants on one saturated engine, on real Ray Serve.

A quiet tenant alone, then the same beside one that asks for its share, half of what the engine can
do, and beside one that asks for ten times as much, in blocks that take turns; and four tenants that
always have more to ask, with requests of unlike sizes.
"""

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from serve_app.bench.deep import deepen
from serve_app.bench.fair_clients import TOKENS, Asked, Clients, Crowd
from serve_app.bench.launches import application
from serve_app.bench.results import percentile
from serve_app.bench.sides import Launch, running
from serve_app.cli.config_file import read
from serve_app.cli.environment import any_free
from serve_app.simulator.tenants import jain

SEATS, LAYERS = 16, 48
QUIET_PART = 0.2
"""Of what the engine can do; its share is half."""
WARM_S = 3.0
SAID = Console(stderr=True, highlight=False)
QUIET, NOISY, THIRD, FOURTH = TENANTS = ("quiet", "noisy", "third", "fourth")
BACKLOGGED = (
    Crowd(QUIET, clients=12, tokens=40),
    Crowd(NOISY, clients=48, tokens=10),
    Crowd(THIRD, clients=12, tokens=80),
    Crowd(FOURTH, clients=24, tokens=20),
)

Config = Annotated[Path, typer.Option(help="A Ray Serve config file of this application.")]
Out = Annotated[Path, typer.Option(help="Where the log and the config go.")]
Rounds = Annotated[int, typer.Option(min=1, help="How often each block takes its turn.")]
Seconds = Annotated[float, typer.Option(min=5, help="Of a block.")]


def main(
    config: Config = Path("configs/demo.yaml"),
    out: Out = Path(".bench"),
    rounds: Rounds = 8,
    seconds: Seconds = 20.0,
) -> None:
    """Measure what one tenant's load does to another's time to first token, and who gets what."""
    asyncio.run(_run(_launch(read(config).content, out), rounds, seconds))


async def _run(launch: Launch, rounds: int, seconds: float) -> None:
    SAID.print("starting one engine, which takes about a minute ...")
    async with running([launch]) as (server,), Clients(server.url) as clients:
        most = await _sustainable(clients)
        quiet, share = QUIET_PART * most, most / 2
        loads = {
            "alone": {QUIET: quiet},
            "beside one at its share": {QUIET: quiet, NOISY: share},
            "beside one at ten times its share": {QUIET: quiet, NOISY: 10 * share},
        }
        SAID.print(f"it answers {most:.1f} requests/s; the quiet tenant asks {quiet:.1f} ...")
        blocks: dict[str, list[Asked]] = {name: [] for name in loads}
        for number in range(rounds):
            for name, rates in loads.items():
                blocks[name] += _warm(await clients.play(rates, seconds, number))
            SAID.print(f"round {number + 1} of {rounds}")
        SAID.print("four tenants that always have more to ask ...")
        asked = await clients.crowd(BACKLOGGED, 2 * seconds)
        backlog = [one for one in asked if WARM_S <= one.over_s <= 2 * seconds]
        SAID.print("stopping ...")
    screen = Console(highlight=False)
    screen.print(_waits(blocks))
    screen.print(_shares(backlog))


async def _sustainable(clients: Clients) -> float:
    """Requests a second with more than enough clients; a first pass has everything loaded."""
    crowds = [Crowd(tenant, clients=12, tokens=TOKENS) for tenant in TENANTS]
    await clients.crowd(crowds, 5.0)
    asked = _warm(await clients.crowd(crowds, 12.0))
    return sum(one.first_s is not None for one in asked) / (12.0 - WARM_S)


def _warm(asked: Sequence[Asked]) -> list[Asked]:
    return [one for one in asked if one.at_s >= WARM_S]


def _waits(blocks: Mapping[str, Sequence[Asked]]) -> Table:
    table = Table(title="the quiet tenant's time to first token, ms", title_justify="left")
    for column in ("", "requests", "refused", "p50", "to alone", "p99", "to alone"):
        table.add_column(column, justify="right" if column else "left")
    base: tuple[float, ...] = ()
    for name, asked in blocks.items():
        its = [one for one in asked if one.tenant == QUIET]
        firsts = [1000 * one.first_s for one in its if one.first_s is not None]
        found = percentile(firsts, 0.5), percentile(firsts, 0.99)
        base = base or found
        cells = [(f"{now:.0f}", f"{now / then:.2f}") for now, then in zip(found, base, strict=True)]
        refused = f"{1 - len(firsts) / len(its):.0%}"
        table.add_row(name, str(len(its)), refused, *cells[0], *cells[1])
    return table


def _shares(asked: Sequence[Asked]) -> Table:
    tokens = {
        crowd.tenant: sum(one.tokens for one in asked if one.tenant == crowd.tenant)
        for crowd in BACKLOGGED
    }
    index = jain(tokens.values())
    table = Table(title=f"backlogged: Jain's index {index:.3f}", title_justify="left")
    for column in ("clients", "tokens an answer", "share of tokens"):
        table.add_column(column, justify="right")
    for crowd in BACKLOGGED:
        share = tokens[crowd.tenant] / sum(tokens.values())
        table.add_row(str(crowd.clients), str(crowd.tokens), f"{share:.1%}")
    return table


def _launch(content: Mapping[str, Any], out: Path) -> Launch:
    """How to start the application; what it needs is made anew in ``out / "fairness"``."""
    folder = (out / "fairness").absolute()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    derived = derive(content, folder, any_free())
    deepen(Path(content["applications"][0]["args"]["engine"]["model"]), folder / "base", LAYERS)
    return application(derived, folder / "fairness.yaml")


def derive(content: Mapping[str, Any], folder: Path, port: int) -> dict[str, Any]:
    """The config with one engine of few seats, whose model is ``folder / "base"``, and four tenants
    of the base. Pure."""
    derived: dict[str, Any] = deepcopy(dict(content))
    derived["http_options"] = {"host": "127.0.0.1", "port": port}
    args = derived["applications"][0]["args"]
    args["engine"] |= {"model": str(folder / "base"), "max_num_seqs": SEATS}
    args["registry"]["data_dir"] = str(folder / "data")
    for deployment in derived["applications"][0]["deployments"]:
        deployment.pop("autoscaling_config", None)
        if deployment["name"] != "control":
            deployment["num_replicas"] = 1
            continue
        tenants = [{"id": id_, "keys": [f"sk-{id_}"], "base": True} for id_ in TENANTS]
        deployment["user_config"] = {"tenants": tenants}
    return derived


if __name__ == "__main__":
    typer.run(main)
