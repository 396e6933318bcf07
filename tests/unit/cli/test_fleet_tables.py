"""The tables of `serve-app fleet`."""

import io
import re
from typing import Any

import pytest
from rich.console import Console, RenderableType

from serve_app.cli import fleet_tables
from serve_app.cli.fleet_sum import REMEMBERED_S, Pages, together
from serve_app.gateway.fleet_schema import FleetPage
from tests.unit.fake_fleet import FINANCE, a_page, a_placement, a_replica, an_adapter


def drawn(shown: RenderableType, width: int = 150) -> str:
    file = io.StringIO()
    Console(file=file, width=width, highlight=False).print(shown)
    return file.getvalue()


def cells(page: FleetPage, width: int = 150, **how: Any) -> list[list[str]]:
    """The tables' words, a list a line, columns apart."""
    text = drawn(fleet_tables.screen(page, width, **how), width)
    return [re.split(r"\s{2,}", line.strip()) for line in text.splitlines()]


def test_a_replica_is_a_line_with_its_load_slots_and_cache() -> None:
    lines = cells(a_page())
    assert ["replica", "load", "slots", "KV cache", "adapters", "waiting", *_COSTS] in lines
    bars = ("━╸━━━━━━ 3/16", "━━━━━━━━ 1/4", "━━━━━━━━ 12%")
    assert ["● k3x9q2ab", *bars, "1", "–", "0.31 s", "0.20 s"] in lines  # noqa: RUF001


_COSTS = ("cold load", "1k tokens")


def test_a_replica_that_does_not_answer_is_a_line_too() -> None:
    lines = cells(a_page(replicas=[a_replica(alive=False)]))
    assert ["● k3x9q2ab", "no answer"] in lines
    assert lines[0][0].startswith("0 of 1 replicas answer")


def test_adapters_that_want_a_slot_and_have_none_are_counted() -> None:
    active = [f"a{n}@1" for n in range(7)]
    lines = cells(a_page(replicas=[a_replica(active=active, slots_used=4)]))
    assert "━━━━━━━━ 4/4 +3" in lines[4]


def test_an_adapter_is_a_line_with_why_its_last_request_went_there_and_how_it_fared() -> None:
    last = ["2 s", "home k3x9q2ab", "0.82 s", "–", "10 ms", "0.83 s", "0.41 s"]  # noqa: RUF001
    row = ["acme-finance-lora@5533a8", "3", "k3x9q2ab", "k3x9q2ab", *last]
    assert row in cells(a_page())


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"streamed": True, "first_byte_s": 0.041}, "41 ms"),
        ({"streamed": False, "duration_s": 12.3}, "whole 12 s"),
        ({"outcome": "replica_lost"}, "replica_lost"),
        ({"streamed": True, "first_byte_s": None}, "whole 1.20 s"),
    ],
)
def test_the_last_column_says_what_came_of_it(changes: dict[str, Any], shown: str) -> None:
    page = a_page(adapters=[an_adapter(placements=[a_placement(**changes)])])
    assert cells(page)[-2][-1] == shown


def test_an_adapter_on_many_replicas_names_two_and_counts_the_others() -> None:
    state = an_adapter(holders=["a", "b", "c", "d"], held_by=9, loading=["e"])
    row = next(line for line in cells(a_page(adapters=[state])) if line[0].startswith("acme"))
    assert row[3] == "a b e loads +7"


def test_an_adapter_nobody_asked_for_has_no_last_request() -> None:
    state = an_adapter("base", homes=[], placements=[], requests=0)
    assert ["base", "–", "–", "k3x9q2ab"] in cells(a_page(adapters=[state]))  # noqa: RUF001


@pytest.mark.parametrize("width", [80, 100, 150])
def test_no_line_is_longer_than_the_terminal_and_none_lacks_its_result(width: int) -> None:
    long = an_adapter(f"{'very-' * 9}long@5533a83906f4", holders=["a" * 8] * 3, held_by=3)
    page = a_page(adapters=[long, an_adapter()], replicas=[a_replica(loading=[FINANCE])] * 2)
    text = drawn(fleet_tables.screen(page, width), width)
    assert max(map(len, text.splitlines())) <= width
    assert text.count("0.41 s") == 2


def test_one_adapter_is_shown_with_every_placement_that_is_remembered() -> None:
    records = [a_placement(request_id=f"id-{n}", cold_load_s=None) for n in range(3)]
    lines = cells(a_page(adapters=[an_adapter(placements=records)]), whole=True)
    assert [line[-1] for line in lines[-4:-1]] == ["id-0", "id-1", "id-2"]
    (title,) = [line[0] for line in lines if line[0].startswith("last placements")]
    assert title.endswith("acme-finance-lora@5533a83906f4, whose homes are k3x9q2ab, p7w1m0cd")


def test_what_there_is_no_room_for_is_counted() -> None:
    page = a_page(adapters=[an_adapter(f"a{n}@1") for n in range(5)], left_out=2)
    assert cells(page, rows=2)[-1] == ["and 5 more; --adapter NAME shows one"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0, "0 ms"),
        (0.0004, "0 ms"),
        (0.0312, "31 ms"),
        (0.1, "0.10 s"),
        (9.99, "9.99 s"),
        (61.4, "61 s"),
    ],
)
def test_seconds_are_short(value: float, shown: str) -> None:
    assert fleet_tables.seconds(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"), [(0.2, "now"), (12, "12 s"), (180, "3 min"), (7300, "2 h"), (-1, "now")]
)
def test_ages_are_rough(value: float, shown: str) -> None:
    assert fleet_tables.ago(value) == shown


@pytest.mark.parametrize(
    ("share", "style"), [(0, "green"), (0.3, "green"), (0.7, "yellow"), (1.0, "red"), (3.0, "red")]
)
def test_a_bar_is_as_long_whatever_it_says_and_says_much_by_its_colour(
    share: float, style: str
) -> None:
    bar = fleet_tables.bar(share)
    assert len(bar) == 8
    filled = [span for span in bar.spans if span.style == style]
    assert bool(filled) == (share > 0)


def test_pages_of_several_gateways_are_one_with_the_newest_placement_first() -> None:
    mine = a_page(gateway="b", adapters=[an_adapter(placements=[a_placement(at=5.0)])])
    other = an_adapter("legal@77aa01923cde", placements=[a_placement(at=9.0)])
    theirs = a_page(gateway="a", adapters=[an_adapter(placements=[a_placement(at=7.0)]), other])
    both = together(mine, [theirs])
    assert both.gateway == "a, b"
    assert [one.adapter for one in both.adapters] == [other["adapter"], FINANCE]
    assert [one.at for one in both.adapters[1].placements] == [7.0, 5.0]


def test_a_gateway_not_met_for_long_is_forgotten() -> None:
    pages = Pages()
    pages.with_(a_page(gateway="a", at=100.0))
    assert pages.with_(a_page(gateway="b", at=101.0)).gateway == "a, b"
    assert pages.with_(a_page(gateway="b", at=100.0 + REMEMBERED_S)).gateway == "b"
