import csv
from pathlib import Path

import pytest
from rich.console import Console

from serve_app.bench.live import report
from serve_app.bench.live.client import Asked
from serve_app.bench.live.loads import between, note
from serve_app.bench.live.measuring import counted
from serve_app.bench.live.results import VALUES, Block, Kind, of, ratio, whole_rounds
from serve_app.bench.live.routings import Routing


def block(number: int, routing: Routing, first_s: float, loads: int = 0) -> Block:
    asked = tuple(Asked(n, first_s, first_s + 1.0, 10) for n in range(20))
    return Block(number, routing, asked, seconds=10.0, loads=loads)


def blocks() -> list[Block]:
    """Ours is twice as fast as multiplex in one round, and as fast in the other."""
    found = [block(n, routing, 0.2, loads=8) for n in (1, 2) for routing in Routing]
    return [
        block(1, Routing.OURS, 0.1, loads=2)
        if (one.number, one.routing) == (1, Routing.OURS)
        else one
        for one in found
    ]


def test_a_ratio_is_taken_round_by_round_and_has_a_median_and_a_range() -> None:
    found = ratio(blocks(), Kind.FIRST_P50, Routing.MULTIPLEX)
    assert found is not None
    assert (found.median, found.least, found.most) == pytest.approx((0.75, 0.5, 1.0))


def test_there_is_no_ratio_to_nothing() -> None:
    none = [block(1, routing, 0.1, loads=0) for routing in Routing]
    assert ratio(none, Kind.LOADS, Routing.MULTIPLEX) is None


def test_loads_are_counted_in_a_thousand_requests() -> None:
    cells = {one.routing: one for one in blocks() if one.number == 2}
    assert VALUES[Kind.LOADS]([cells[Routing.ROUND_ROBIN]]) == pytest.approx(400)


def test_a_round_that_was_cut_short_is_left_out() -> None:
    cut = [*blocks(), block(3, Routing.OURS, 0.1)]
    assert whole_rounds(cut) == blocks()


def test_what_warms_up_does_not_count() -> None:
    asked = [Asked(1.0, 9.0, 9.5, 10), Asked(5.0, 0.2, 1.0, 10), Asked(8.0, None, 0.1, 0)]
    found = counted(1, Routing.OURS, asked, warm_s=4.0, loads=3)
    assert [one.at_s for one in found.asked] == [5.0, 8.0]
    assert found.refused == 1
    assert found.seconds == pytest.approx(4.1)


def test_loads_are_read_by_when_they_began(tmp_path: Path) -> None:
    path = tmp_path / "loads"
    assert between(path, 0, 1e12) == 0
    path.write_text("100.000 a\n105.500 b\n110.000 c\n")
    assert between(path, 100.0, 110.0) == 2
    note(path, "d@1")
    assert between(path, 111.0, 1e12) == 1


def test_the_report_names_every_routing_and_has_a_line_for_each_block(tmp_path: Path) -> None:
    console = Console(record=True, width=200)
    console.print(report.table(blocks()))
    text = console.export_text()
    for routing in Routing:
        assert routing.value in text
    assert "0.75, 0.50-1.00" in text
    report.write(tmp_path / "live.csv", blocks())
    rows = list(csv.DictReader((tmp_path / "live.csv").read_text().splitlines()))
    assert len(rows) == 8
    assert {row["routing"] for row in rows} == {routing.value for routing in Routing}
    report.draw(tmp_path / "live.png", blocks(), "a machine")
    assert (tmp_path / "live.png").stat().st_size > 10_000
    assert [one.number for one in of(blocks(), Routing.OURS)] == [1, 2]
