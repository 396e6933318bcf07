import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from serve_app.bench import plot, report
from serve_app.bench.results import measures
from tests.unit.bench.samples import samples

SETUP = {"date": "today", "cores": 2, "cpu": "a processor", "versions": {"ray": "1"}}


def shown(strangers_s: float = 0.0) -> str:
    said = StringIO()
    Console(width=100, file=said).print(report.tables(samples(strangers_s)))
    return said.getvalue()


def test_the_table_fits_a_narrow_terminal_and_shows_ratios() -> None:
    rows = [line.split() for line in shown().splitlines()]
    assert ["│", "tokens/s", "│", "2", "│", "50", "│", "100", "│", "0.50", "│"] in rows
    assert max(len(line.rstrip()) for line in shown().splitlines()) <= 80


def test_a_machine_that_was_busy_with_something_else_makes_the_numbers_unsure() -> None:
    assert "Unsure" not in shown(strangers_s=0.0)
    assert "Unsure: programs that have no part in this used" in shown(strangers_s=1.0)


def test_the_json_holds_setup_results_and_every_sample(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    report.write(path, SETUP, samples())
    written = json.loads(path.read_text())
    assert written["setup"] == SETUP
    assert written["results"]["tokens_per_s_2"]["ratio"] == 0.5
    assert len(written["samples"]) == len(samples())


def test_a_sample_is_told_in_a_line() -> None:
    assert report.line(samples()[0]) == (
        "round 1: 2 streams, ours: 50 tokens/s, first token within 200 ms"
    )


def test_the_picture_is_a_png(tmp_path: Path) -> None:
    path = tmp_path / "bench.png"
    plot.draw(path, measures(samples()), report.where(SETUP))
    assert path.read_bytes().startswith(b"\x89PNG")
