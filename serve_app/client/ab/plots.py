"""A test as pictures. Needs matplotlib (extra ``report``)."""

import io
from collections.abc import Sequence
from statistics import median
from typing import Any

from matplotlib.figure import Figure

from serve_app.client.ab.summary import Side
from serve_app.client.ab.wins import Wins

A, B, TIE, LINE = "#2a6f97", "#c2703d", "#ced4da", "#495057"
COLORS = {"A": A, "B": B}
DPI = 160
ENOUGH = 8
"""Fewer values than these have no quartiles worth showing."""
_SPREAD = 0.16


def drawn_wins(found: Wins) -> bytes:
    """A PNG: how many prompts each side won, and the interval of A's share of them."""
    figure = Figure(figsize=(9, 2.0), layout="constrained")
    counts, share = figure.subplots(1, 2, width_ratios=(3, 2))
    _counts(counts, found)
    _share(share, found)
    return _png(figure)


def drawn_distributions(sides: Sequence[Side]) -> bytes:
    """A PNG: times and tokens of every answer, a dot each, with their median, and where there are
    enough of them the box of their quartiles."""
    figure = Figure(figsize=(9, 2.9), layout="constrained")
    first, whole, tokens = figure.subplots(1, 3)
    _strips(first, "time to first token, s", sides, [one.first_token_s for one in sides])
    _strips(whole, "whole answer, s", sides, [one.latency_s for one in sides])
    _strips(tokens, "tokens of an answer", sides, [one.completion_tokens for one in sides])
    return _png(figure)


def _counts(axes: Any, found: Wins) -> None:
    left = 0
    parts = (("A wins", found.a, A), ("ties", found.ties, TIE), ("B wins", found.b, B))
    for name, count, color in parts:
        axes.barh(0, count, left=left, color=color, height=0.5, label=f"{name}: {count}")
        left += count
    axes.set_title("judged prompts", fontsize=10)
    axes.set_xlim(0, max(left, 1))
    axes.set_ylim(-0.4, 0.4)
    axes.set_yticks([])
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(ncols=3, loc="upper center", bbox_to_anchor=(0.5, -0.22), frameon=False, fontsize=9)


def _share(axes: Any, found: Wins) -> None:
    axes.set_title("A's share of decided prompts, 95% interval", fontsize=10)
    axes.axvline(0.5, color=LINE, linewidth=1, linestyle=":")
    if found.decided:
        at = found.a / found.decided
        axes.plot([found.low, found.high], [0, 0], color=LINE, linewidth=3, solid_capstyle="butt")
        axes.plot([at], [0], "o", color=LINE, markersize=9)
    else:
        axes.text(0.5, 0, "none was decided", ha="center", va="center", backgroundcolor="white")
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-1, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0%\nonly B", "25%", "even", "75%", "100%\nonly A"])
    axes.set_yticks([])
    axes.spines[["top", "right", "left"]].set_visible(False)


def _strips(
    axes: Any, title: str, sides: Sequence[Side], values: Sequence[Sequence[float]]
) -> None:
    axes.set_title(title, fontsize=10)
    for place, (side, of_side) in enumerate(zip(sides, values, strict=True)):
        if not of_side:
            continue
        color = COLORS[side.letter]
        if len(of_side) >= ENOUGH:
            _box(axes, place, of_side)
        middle = median(of_side)
        axes.plot([middle, middle], [place - 0.25, place + 0.25], color=color, linewidth=2)
        axes.plot(of_side, _spread(place, len(of_side)), "o", color=color, alpha=0.5, markersize=4)
    axes.set_yticks(range(len(sides)), [side.letter for side in sides])
    axes.set_ylim(len(sides) - 0.5, -0.5)
    axes.set_xlim(left=0)
    axes.spines[["top", "right"]].set_visible(False)


def _box(axes: Any, place: int, values: Sequence[float]) -> None:
    line = {"color": LINE, "linewidth": 1}
    axes.boxplot(
        [values],
        positions=[place],
        orientation="horizontal",
        widths=0.5,
        showfliers=False,
        medianprops=line,
        boxprops=line,
        whiskerprops=line,
        capprops=line,
    )


def _spread(place: int, count: int) -> list[float]:
    """Heights around ``place``, so that dots of like values lie beside each other."""
    return [place + _SPREAD * ((number * 0.618) % 1 - 0.5) * 2 for number in range(count)]


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()
