"""A comparison as tables and as a picture."""

from pathlib import Path

from matplotlib.figure import Figure
from rich.table import Table

from serve_app.simulator import tally
from serve_app.simulator.outcome import FIRST_TOKEN_S, PER_TOKEN_S, Outcome
from serve_app.simulator.tally import Mean, Outcomes

COLOR, OTHERS = "#2a6f97", "#adb5bd"


def summary(outcomes: Outcomes) -> Table:
    """One line a policy, over all cells."""
    goal = f"first token <= {FIRST_TOKEN_S:g} s and <= {1000 * PER_TOKEN_S:g} ms a token"
    table = Table(title=f"mean of all cells and 95% interval over seeds; goal: {goal}")
    for title in ("policy", "within goal %", "p50 s", "p99 s", "loads / 1,000", "refused %"):
        table.add_column(title, justify="left" if title == "policy" else "right")
    for policy in tally.policies(outcomes):
        table.add_row(
            policy,
            _said(tally.over_cells(outcomes, policy, _within), 1),
            _said(tally.over_cells(outcomes, policy, lambda one: one.first_p50_s), 2),
            _said(tally.over_cells(outcomes, policy, lambda one: one.first_p99_s), 2),
            _said(tally.over_cells(outcomes, policy, lambda one: one.loads), 0),
            _said(tally.over_cells(outcomes, policy, lambda one: 100 * one.shed), 1),
        )
    return table


def by_cell(outcomes: Outcomes) -> Table:
    """Share within the goal and p99 to the first token, by policy and cell."""
    table = Table(title="within goal %, and p99 to the first token in seconds, by cell")
    table.add_column("policy")
    for cell in tally.cells(outcomes):
        table.add_column(cell, justify="right")
    for policy in tally.policies(outcomes):
        row = []
        for cell in tally.cells(outcomes):
            within = tally.in_cell(outcomes, policy, cell, _within)
            p99_s = tally.in_cell(outcomes, policy, cell, lambda one: one.first_p99_s)
            row.append(f"{within.value:.1f} {p99_s.value:.1f}s")
        table.add_row(policy, *row)
    return table


def draw(path: Path, outcomes: Outcomes) -> None:
    """Write a PNG: share within the goal, p99 to the first token and loads, by policy."""
    figure = Figure(figsize=(14, 4.5), layout="constrained")
    names = tally.policies(outcomes)[::-1]
    measures = (
        ("% within goal", _within),
        ("p99 to first token, s", lambda one: one.first_p99_s),
        ("adapter loads in 1,000 requests", lambda one: one.loads),
    )
    for axes, (title, measure) in zip(figure.subplots(1, 3, sharey=True), measures, strict=True):
        found = [tally.over_cells(outcomes, name, measure) for name in names]
        halves = [one.half if one.half < float("inf") else 0.0 for one in found]
        colors = [COLOR if name == "serve_app" else OTHERS for name in names]
        axes.barh(names, [one.value for one in found], xerr=halves, color=colors)
        axes.set_title(title, fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle("routing policies over one simulated fleet, mean of all cells", fontsize=10)
    figure.savefig(path, dpi=130)


def _within(one: Outcome) -> float:
    return 100 * one.within


def _said(found: Mean, digits: int) -> str:
    half = f" ± {found.half:.{digits}f}" if found.half < float("inf") else ""
    return f"{found.value:.{digits}f}{half}"
