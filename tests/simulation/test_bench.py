import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from serve_app.simulator import bench, tally
from serve_app.simulator.baselines import POLICIES
from serve_app.simulator.cells import CELLS, REPORTED_SEEDS, TUNING_SEEDS
from serve_app.simulator.outcome import Outcome

app = Typer()
app.command()(bench.main)


def test_the_comparison_is_one_command_with_tables_numbers_and_a_picture(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["--quick", "--jobs", "1", "--out", str(tmp_path)])
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "routing.csv").read_text().splitlines()
    assert len(lines) == 1 + len(POLICIES) * len(CELLS)
    assert (tmp_path / "routing.png").stat().st_size > 10_000
    for name in POLICIES:
        assert name in result.output


@pytest.mark.parametrize("policy", ["serve_app", "KubeAI CHWBL 1.25"])
def test_a_simulation_is_the_same_in_every_process(policy: str) -> None:
    program = (
        "from dataclasses import replace\n"
        "from serve_app.simulator.baselines import POLICIES\n"
        "from serve_app.simulator.cells import CELLS\n"
        "cell = CELLS[0]\n"
        "cell = replace(cell, traffic=replace(cell.traffic, duration_s=25.0))\n"
        f"print(cell.run(POLICIES[{policy!r}], 1))"
    )
    said = {
        subprocess.check_output(
            [sys.executable, "-c", program], env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1, "the order of a set decided something"


def test_seeds_that_tune_are_not_those_reported() -> None:
    assert not set(TUNING_SEEDS) & set(REPORTED_SEEDS)


def test_an_interval_is_students() -> None:
    found = tally.mean([1.0, 2.0, 3.0])
    assert found.value == pytest.approx(2.0)
    assert found.half == pytest.approx(4.30 / 3**0.5)


def test_one_seed_says_nothing_of_its_interval() -> None:
    assert tally.mean([1.0]).half == float("inf")


def test_the_mean_over_cells_has_one_observation_a_seed() -> None:
    outcomes = {
        ("p", cell, seed): Outcome(1, within, 0, 0, 0, 0, 0)
        for cell, seed, within in (("a", 1, 0.0), ("b", 1, 1.0), ("a", 2, 0.2), ("b", 2, 1.0))
    }
    assert tally.over_cells(outcomes, "p", lambda one: one.within).value == pytest.approx(0.55)
