"""``python -m serve_app.bench.registry``: what ten thousand adapters cost control and a gateway.

Control is the real one, on SQLite, with the real checks and files; every figure stands beside the
same one measured when there were few adapters.
"""

import asyncio
import pickle
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from statistics import quantiles
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from serve_app.adapters.artifacts import Artifacts
from serve_app.adapters.base import read_base
from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.commands import Actor, List, Register
from serve_app.adapters.sources import SourceRules
from serve_app.adapters.staging import Stager
from serve_app.control.control import Control
from serve_app.control.registering import Workshop
from serve_app.control.rules import Rules
from serve_app.control.times import Times
from serve_app.tenancy.keys import Keyring
from serve_app.tenancy.snapshot import Snapshot
from serve_app.tenancy.tenant import EVERY_ADAPTER, Tenant

BASE, FEW = "base", 100
OPERATOR = Actor("operator", admin=True)
TENANT = Tenant("tenant", frozenset({EVERY_ADAPTER}), None, base=False, cache_salt="")
SAID = Console(stderr=True)


@dataclass(frozen=True)
class Figures:
    """Seconds of each time something was done, and bytes held."""

    register_s: list[float]
    page_s: list[float]
    resolve_s: list[float]
    change_s: list[float]
    catalog_bytes: int


class Nobody:
    """Counts nothing."""

    def registered(self, outcome: str, seconds: float) -> None: ...


def main(
    adapters: Annotated[int, typer.Option(min=2 * FEW, help="How many to register.")] = 10_000,
    model: Annotated[Path, typer.Option(help="The base model's folder.")] = Path(".demo/base"),
    source: Annotated[
        Path, typer.Option(help="An adapter for it, registered under many names.")
    ] = Path(".demo/adapters/acme-finance-lora"),
) -> None:
    """Register many adapters; measure registration, listing, resolving and a gateway's memory."""
    with tempfile.TemporaryDirectory(prefix="serve-app-bench-") as folder:
        few, many = asyncio.run(_measure(Path(folder), adapters, model, source.absolute()))
    Console().print(table(few, many, adapters))


async def _measure(
    folder: Path, adapters: int, model: Path, source: Path
) -> tuple[Figures, Figures]:
    control = await _control(folder, model, source)
    try:
        names = [f"adapter-{number:05}" for number in range(adapters)]
        first = await _register(control, source, names[:FEW])
        few = await _figures(control, first)
        await _register(control, source, names[FEW:-FEW])
        last = await _register(control, source, names[-FEW:])
        return few, await _figures(control, last)
    finally:
        await control.close()


async def _control(folder: Path, model: Path, source: Path) -> Control:
    artifacts = Artifacts(folder / "adapters")
    rules = SourceRules(roots=(source.parent,))
    stager = Stager(artifacts, read_base(str(model)), rules, max_rank=64)
    workshop = Workshop(stager, stager, lambda _tenant: stager, artifacts, None, Nobody())
    url = f"sqlite+aiosqlite:///{folder / 'registry.db'}"
    return await Control.open(url, workshop, Rules(BASE, 10, 8, 100), Times(), b"pepper")


async def _register(control: Control, source: Path, names: list[str]) -> list[float]:
    """Register one after another; gives the seconds each took."""
    took = []
    for name in track(names, f"registering {len(names):,}", console=SAID, transient=True):
        began = time.perf_counter()
        answer = await control.manage(Register(OPERATOR, name, str(source)))
        took.append(time.perf_counter() - began)
        assert answer.status == 200, answer.body
    return took


async def _figures(control: Control, register_s: list[float]) -> Figures:
    entries = dict(control.entries)
    names = Random(0).sample(sorted(entries), FEW)
    page_s = []
    for name in names:
        began = time.perf_counter()
        await control.manage(List(OPERATOR, limit=10, after=name))
        page_s.append(time.perf_counter() - began)
    snapshot = Snapshot(BASE, Keyring({}, b""), {}, Catalog.of(entries))
    changed = {name: entries[name] for name in names[:1]}
    return Figures(
        register_s=register_s,
        page_s=page_s,
        resolve_s=_timed(lambda name: snapshot.resolve(TENANT, f"{BASE}@{name}"), 50 * names),
        change_s=_timed(lambda _: snapshot.catalog.changed(changed), names),
        catalog_bytes=_bytes_of(entries),
    )


def _timed(do: Callable[[str], object], names: Iterable[str]) -> list[float]:
    took = []
    for name in names:
        began = time.perf_counter()
        do(name)
        took.append(time.perf_counter() - began)
    return took


def _bytes_of(entries: dict[str, Entry]) -> int:
    """Memory of a gateway's own copy of the catalog, as it comes out of the wire's pickle."""
    wire = pickle.dumps(entries)
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    kept = Catalog.of(pickle.loads(wire))  # noqa: S301 - our own bytes
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(kept.entries) == len(entries)
    return after - before


def table(few: Figures, many: Figures, adapters: int) -> Table:
    """Both sets of figures and their ratio, medians and p99."""
    shown = Table(title=f"{FEW} and {adapters:,} registered adapters", title_justify="left")
    for column in ("measure", f"{FEW} adapters", f"{adapters:,} adapters", "ratio of p50"):
        shown.add_column(column, justify="left" if column == "measure" else "right")
    for name, unit, scale, key in ROWS:
        a, b = getattr(few, key), getattr(many, key)
        shown.add_row(f"{name}, p50 / p99 {unit}", *_cells(a, b, scale))
    shown.add_row(
        "catalog in a gateway, MB",
        f"{few.catalog_bytes / 1e6:.2f}",
        f"{many.catalog_bytes / 1e6:.2f}",
        f"{many.catalog_bytes / few.catalog_bytes:.2f}",
    )
    return shown


ROWS = (
    ("register an adapter", "ms", 1e3, "register_s"),
    ("a page of 10 records", "ms", 1e3, "page_s"),
    ("resolve a model", "µs", 1e6, "resolve_s"),
    ("take in a change", "µs", 1e6, "change_s"),
)


def _cells(few: list[float], many: list[float], scale: float) -> tuple[Any, ...]:
    (a50, a99), (b50, b99) = _p50_p99(few), _p50_p99(many)
    return (
        f"{scale * a50:.1f} / {scale * a99:.1f}",
        f"{scale * b50:.1f} / {scale * b99:.1f}",
        f"{b50 / a50:.2f}",
    )


def _p50_p99(seconds: list[float]) -> tuple[float, float]:
    cuts = quantiles(seconds, n=100)
    return cuts[49], cuts[98]


if __name__ == "__main__":
    typer.run(main)
