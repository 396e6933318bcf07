"""The fleet's page as tables for a terminal. Pure."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from serve_app.gateway.fleet_schema import (
    AdapterState,
    FleetPage,
    PlacementRecord,
    ReplicaState,
)

_BAR = 8
_DIGEST = 6
_REASONS = {
    "resident": "green",
    "home": "cyan",
    "loading": "yellow",
    "cold": "yellow",
    "spill": "magenta",
}
_MUCH, _FULL = 0.7, 0.95
_LATE_S, _TOO_LATE_S = 0.25, 1.0
_SHORTEST_S = 0.0005
_WIDE = 130
_NAME = 14
_NOTHING = Text("–", "dim")  # noqa: RUF001 - a dash is what a reader expects there


def screen(
    page: FleetPage, width: int, rows: int | None = None, whole: bool = False
) -> RenderableType:
    """The whole of it.

    Args:
        width: columns there are; if they are few, the tables leave out what matters least.
        rows: adapters to show at most; as many as there are if None.
        whole: every placement that is remembered, not the last one of each adapter alone.
    """
    shown = page.adapters[:rows]
    wide = width >= _WIDE
    parts: list[RenderableType] = [
        headline(page),
        replicas(page.replicas, wide),
        adapters(shown, page.at, wide),
    ]
    if whole:
        parts += [placements(one, page.at, wide) for one in shown if one.placements]
    more = page.left_out + len(page.adapters) - len(shown)
    if more:
        parts.append(Text(f" and {more} more; --adapter NAME shows one", "dim"))
    return Group(*parts)


def headline(page: FleetPage) -> Text:
    """The fleet in a line."""
    alive = sum(one.alive for one in page.replicas)
    style = "bold green" if alive and alive == len(page.replicas) else "bold red"
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f" {alive} of {len(page.replicas)} replicas answer", style)
    for count, what in (
        (sum(one.in_flight for one in page.replicas), "in flight"),
        (sum(one.waiting for one in page.replicas), "waiting"),
        (sum(len(one.loading) for one in page.replicas), "loading"),
    ):
        text.append(" · ", "dim").append(f"{count}", "bold").append(f" {what}")
    return text.append(f" · gateway {page.gateway}", "dim")


def replicas(states: Sequence[ReplicaState], wide: bool) -> Table:
    """Load, slots and memory of every replica, and what things take there."""
    table = _table("replica", "load", "slots", "KV cache")
    numbers = ("adapters", "waiting", "cold load", "1k tokens")
    for title in numbers if wide else numbers[:2]:
        _add_number(table, title)
    for one in states:
        table.add_row(*_replica(one)[: len(table.columns)])
    return table


def _replica(one: ReplicaState) -> tuple[Text, ...]:
    if not one.alive:
        return Text.assemble(("● ", "red"), one.replica), Text("no answer", "red")
    loading = f" +{len(one.loading)}" if one.loading else ""
    load = one.in_flight / max(1, one.capacity)
    return (
        Text.assemble(("● ", "green"), one.replica),
        bar(load).append(f" {one.in_flight}/{one.capacity}"),
        _slots(one),
        bar(one.kv_usage).append(f" {one.kv_usage:.0%}"),
        Text(str(len(one.adapters) - len(one.loading))).append(loading, "yellow"),
        Text(str(one.waiting)) if one.waiting else _NOTHING,
        Text(seconds(one.load_s)) if one.load_s else _NOTHING,
        Text(seconds(1000 * one.costs.prompt_token_s)),
    )


def _slots(one: ReplicaState) -> Text:
    """Slots are there to be full; what is much is that more adapters want one."""
    beyond = max(0, len(one.active) - one.max_loras)
    text = bar(one.slots_used / max(1, one.max_loras), "red" if beyond else "green")
    text.append(f" {one.slots_used}/{one.max_loras}")
    return text.append(f" +{beyond}", "red") if beyond else text


def adapters(states: Sequence[AdapterState], now: float, wide: bool) -> Table:
    """Where every adapter belongs and is, and how its last request fared."""
    table = _table()
    table.add_column("adapter", min_width=_NAME, overflow="ellipsis")
    if wide:
        _add_number(table, "now")
        table.add_column("home", no_wrap=True)
    table.add_column("is on", overflow="ellipsis")
    _add_placement_columns(table, wide)
    for one in states:
        last = _placement(one.placements[0], now, wide) if one.placements else ()
        now_and_home = (
            Text(str(one.requests)) if one.requests else _NOTHING,
            Text(one.homes[0]) if one.homes else _NOTHING,
        )
        table.add_row(
            named(one.adapter), *now_and_home[: 2 * wide], _residence(one, 1 + wide), *last
        )
    return table


def placements(one: AdapterState, now: float, wide: bool) -> Table:
    """An adapter's last placements, newest first."""
    table = _table()
    homes = f", whose homes are {', '.join(one.homes)}" if one.homes else ""
    table.title = Text.assemble(" last placements of ", (one.adapter, "bold"), homes)
    _add_placement_columns(table, wide)
    _add_number(table, "cold load")
    table.add_column("request", style="dim")
    for record in one.placements:
        load = _NOTHING if record.cold_load_s is None else Text(seconds(record.cold_load_s))
        table.add_row(*_placement(record, now, wide), load, Text(record.request_id))
    return table


def _add_placement_columns(table: Table, wide: bool) -> None:
    _add_number(table, "last")
    table.add_column("went to", no_wrap=True)
    parts = ("load", "+ slot", "+ queue", "= expected") if wide else ("expected",)
    for title in (*parts, "first token"):
        _add_number(table, title)


def _add_number(table: Table, title: str) -> None:
    table.add_column(title, justify="right", no_wrap=True)


def _placement(one: PlacementRecord, now: float, wide: bool) -> Iterable[Text]:
    expected = one.expected
    parts = (expected.load_s, expected.slot_s, expected.queue_s) if wide else ()
    return (
        Text(ago(now - one.at)),
        Text(one.reason, _REASONS.get(one.reason, "")).append(f" {one.replica}", "default"),
        *(_wait(part) for part in parts),
        Text(seconds(expected.wait_s)),
        was(one),
    )


def _wait(value: float) -> Text:
    return Text(seconds(value), "dim") if value >= _SHORTEST_S else _NOTHING


def was(one: PlacementRecord) -> Text:
    """What came of it: the first token of a stream, or the whole answer."""
    if one.outcome != "ok":
        return Text(one.outcome, "red")
    if one.first_byte_s is None or not one.streamed:
        return Text("whole ", "dim").append(seconds(one.duration_s), "default")
    late_s = one.first_byte_s - one.expected.wait_s
    style = "red" if late_s > _TOO_LATE_S else "yellow" if late_s > _LATE_S else "green"
    return Text(seconds(one.first_byte_s), style)


def bar(share: float, style: str | None = None) -> Text:
    """A bar, filled for ``share`` of it, which says by its colour whether that is much."""
    halves = round(2 * _BAR * min(1.0, max(0.0, share)))
    if share > 0 and not halves:
        halves = 1
    by_share = "red" if share >= _FULL else "yellow" if share >= _MUCH else "green"
    filled = "━" * (halves // 2) + "╸" * (halves % 2)
    return Text.assemble((filled, style or by_share), ("━" * (_BAR - len(filled)), "grey30"))


def seconds(value: float) -> str:
    """``0.31 s``, or ``31 ms`` below a tenth of a second."""
    if value >= 10:
        return f"{value:.0f} s"
    if value >= 0.1:
        return f"{value:.2f} s"
    return f"{1000 * value:.0f} ms"


def ago(value: float) -> str:
    """Roughly how long: ``now``, ``12 s``, ``3 min``, ``2 h``."""
    if value < 1:
        return "now"
    if value < 100:
        return f"{value:.0f} s"
    return f"{value / 60:.0f} min" if value < 6000 else f"{value / 3600:.0f} h"


def named(adapter: str) -> Text:
    """Its name, and as much of its digest as tells versions from each other."""
    name, at, digest = adapter.rpartition("@")
    if not at:
        return Text(adapter, "bold")
    return Text(name, "bold").append(f"@{digest[:_DIGEST]}", "dim")


def _residence(one: AdapterState, most: int) -> Text:
    """The first of its holders, where it is being loaded, and how many more hold it."""
    named_ = [Text(name) for name in one.holders[:most]]
    named_ += [Text(f"{name} loads", "yellow") for name in one.loading[:1]]
    text = Text(" ").join(named_) if named_ else _NOTHING.copy()
    more = one.held_by - most
    return text.append(f" +{more}", "dim") if more > 0 else text


def _table(*titles: str) -> Table:
    table = Table(
        box=box.SIMPLE_HEAD,
        header_style="dim",
        pad_edge=False,
        collapse_padding=True,
        title_justify="left",
    )
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table
