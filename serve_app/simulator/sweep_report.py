"""Sweeps over fleets as tables, as words, as CSV and as a picture."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from rich.table import Table

from serve_app.simulator.sweep import Result, Setting, Size

Row = Mapping[str, str | int | float | None]

SETTINGS = ("policy", "replicas", "max_loras", "max_cpu_loras", "max_lora_rank")
_AXES = ("max_loras", "replicas", "max_cpu_loras", "max_lora_rank")
_MEASURES = {
    "within": ("% within the goal", 100.0),
    "first_p99_s": ("p99 to the first token, s", 1.0),
    "loads_per_1000": ("adapter loads in 1,000 requests", 1.0),
}
_NEEDED = {"replicas": ("GPUs needed", 1.0)}


def results_table(results: Sequence[Result], title: str) -> Table:
    """One line a fleet."""
    table = _table(title, "within %", "good/s", "p50 s", "p99 s", "loads/1,000", "refused %")
    for result in results:
        one = result.outcome
        table.add_row(
            *_named(result.setting, str(result.replicas)),
            f"{100 * one.within:.1f}",
            f"{result.good_rate:.1f}",
            f"{one.first_p50_s:.2f}",
            f"{one.first_p99_s:.2f}",
            f"{one.loads:.0f}",
            f"{100 * one.shed:.1f}",
        )
    return table


def sizes_table(sizes: Sequence[Size], title: str) -> Table:
    """One line a setting, with the replicas it needs."""
    table = _table(title, "within %", "one less: %", "p99 s", "loads/1,000")
    for one in sizes:
        if one.enough is None:
            assert one.fewer is not None
            most = f"> {one.fewer.replicas}"
            reached = f"{100 * one.fewer.outcome.within:.1f}"
            table.add_row(*_named(one.setting, most), reached, "", "", "")
            continue
        table.add_row(
            *_named(one.setting, str(one.enough.replicas)),
            f"{100 * one.enough.outcome.within:.1f}",
            f"{100 * one.fewer.outcome.within:.1f}" if one.fewer else "",
            f"{one.enough.outcome.first_p99_s:.2f}",
            f"{one.enough.outcome.loads:.0f}",
        )
    return table


def in_words(size: Size, share: float) -> str:
    """The answer to "how many GPUs", as one would say it."""
    what = _said(size.setting)
    if size.enough is None:
        assert size.fewer is not None
        reached = f"{size.fewer.replicas} serve {100 * size.fewer.outcome.within:.1f}%"
        return f"{what}: more replicas do not reach {100 * share:g}%; {reached}."
    number = size.enough.replicas
    enough = f"{number} {'GPU serves' if number == 1 else 'GPUs serve'}"
    less = (
        f"; {number - 1} would serve {100 * size.fewer.outcome.within:.1f}%" if size.fewer else ""
    )
    return f"{what}: {enough} {100 * size.enough.outcome.within:.1f}% within the goal{less}."


def write(path: Path, rows: Sequence[Row]) -> None:
    """Write CSV.

    Raises:
        OSError: the file cannot be written.
    """
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def draw_results(path: Path, results: Sequence[Result], title: str) -> None:
    """Write a PNG of results over whichever setting varies most."""
    _draw(path, [result.row() for result in results], _MEASURES, title)


def draw_sizes(path: Path, sizes: Sequence[Size], title: str) -> None:
    """Write a PNG of the replicas each setting needs; one that has none is left out."""
    rows = [one.enough.row() for one in sizes if one.enough is not None]
    _draw(path, rows, _NEEDED, title)


def _draw(
    path: Path, rows: Sequence[Row], measures: Mapping[str, tuple[str, float]], title: str
) -> None:
    figure = Figure(figsize=(5.0 * len(measures), 4.2), layout="constrained")
    varying = [name for name in SETTINGS if name not in measures and _values(rows, name) > 1]
    across = max(_AXES, key=lambda name: _values(rows, name) if name in varying else 0)
    for axes, (name, (label, scale)) in zip(
        figure.subplots(1, len(measures), squeeze=False)[0], measures.items(), strict=True
    ):
        if across in varying:
            _lines(axes, rows, across, name, scale, [one for one in varying if one != across])
        else:
            names = [str(row["policy"]) for row in rows][::-1]
            axes.barh(names, [scale * _number(row, name) for row in rows][::-1], color="#2a6f97")
        axes.set_title(label, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    if across in varying and len(varying) > 1:
        lines, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(lines, labels, loc="outside lower center", ncols=4, fontsize=8, frameon=False)
    figure.suptitle(title, fontsize=9)
    figure.savefig(path, dpi=110)


def _lines(
    axes: Any, rows: Sequence[Row], across: str, name: str, scale: float, apart: Sequence[str]
) -> None:
    """One line for each combination of the settings ``apart``."""
    lines: dict[str, list[Row]] = {}
    for row in rows:
        label = ", ".join(_label(one, row[one]) for one in apart)
        lines.setdefault(label, []).append(row)
    for label, unsorted in lines.items():
        points = sorted(unsorted, key=lambda row: _number(row, across))
        across_values = [_number(row, across) for row in points]
        values = [scale * _number(row, name) for row in points]
        axes.plot(across_values, values, marker="o", markersize=4, label=label or None)
    axes.set_xlabel(across)
    axes.set_xticks(sorted({_number(row, across) for row in rows}))
    axes.set_ylim(bottom=0)


def _label(name: str, value: object) -> str:
    return str(value) if name == "policy" else f"{name} {value}"


def _values(rows: Sequence[Row], name: str) -> int:
    return len({row[name] for row in rows})


def _number(row: Row, name: str) -> float:
    return float(row[name] or 0)


def _table(title: str, *measures: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("policy")
    for name in ("replicas", "max_loras", "cpu_loras", "rank", *measures):
        table.add_column(name, justify="right")
    return table


def _named(setting: Setting, replicas: str) -> tuple[str, ...]:
    machine = setting.machine
    rank = "" if setting.rank is None else str(setting.rank)
    return setting.policy, replicas, str(machine.max_loras), str(machine.max_cpu_loras), rank


def _said(setting: Setting) -> str:
    rank = "" if setting.rank is None else f" at max_lora_rank {setting.rank}"
    return f"{setting.policy}, max_loras {setting.machine.max_loras}{rank}"
