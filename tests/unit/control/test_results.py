"""What an experiment is said to show, from sums as the database gives them."""

from typing import Any

import numpy as np
import pytest

from serve_app.control.observed import METRICS, MOMENTS
from serve_app.control.results import Results
from serve_app.control.study import Study
from serve_app.experiments.commands import Goal
from serve_app.experiments.experiment import Arm, Experiment

A, B, DARK = Arm("a", "lora@v1"), Arm("b", "lora@v2"), Arm("dark", "lora@v3", 0, shadow=0.5)


def row(arm: str, goal: Goal, mean: float) -> dict[str, Any]:
    """An arm of 2,000 units, one observation of each, and no errors."""
    values = np.random.default_rng(len(arm)).normal(mean, 0.05, 2000)
    sums = (2000, 2000, values.sum(), 2000, (values**2).sum(), values.sum())
    nothing = {f"{metric}_{moment}": None for metric in METRICS for moment in MOMENTS}
    told = {f"{goal.value}_{moment}": one for moment, one in zip(MOMENTS, sums, strict=True)}
    return {"arm": arm, "units": 2000, "requests": 2000, "errors": 0} | nothing | told


def results(goal: Goal, *arms: Arm, arrivals: Any = (), gone: Any = (), **means: float) -> Results:
    experiment = Experiment("e", "salt", arms).started()
    study = Study(experiment, 0, 0, goal).with_(experiment, 0)
    rows = [row(arm, goal, mean) for arm, mean in means.items()]
    return Results(study, rows, arrivals, [], gone)


def test_less_time_is_better_and_is_told_in_seconds() -> None:
    found = results(Goal.LATENCY, A, B, a=0.2, b=0.15)
    assert found.winner == "b"
    told = found.record(0)
    assert told["text"].startswith("b is better than a: by -0.05")
    difference = told["verdicts"][0]["difference"]
    assert difference["low"] < difference["estimate"] < difference["high"] < 0


def test_a_shadow_cannot_win_however_fast_it_is() -> None:
    assert results(Goal.SPEED, A, B, DARK, a=2, b=2.1, dark=3).winner == "b"
    assert results(Goal.SPEED, A, B, DARK, a=2, b=2, dark=3).winner is None


def test_a_unit_of_an_arm_that_had_no_weight_raises_the_alarm() -> None:
    right = [{"epoch": 1, "arm": "a", "units": 50}]
    wrong = [*right, {"epoch": 1, "arm": "dark", "units": 1}]
    for arrivals, alarm in ((right, False), (wrong, True)):
        told = results(Goal.SCORE, A, DARK, Arm("c", "base", 0), arrivals=arrivals).record(0)
        assert told["mismatch"]["alarm"] is alarm


@pytest.mark.parametrize(
    ("gone", "words"),
    [(["b"], "The model of b answers no more: its units get"), (["a"], "its units are refused.")],
)
def test_it_says_who_answers_where_a_model_is_gone(gone: list[str], words: str) -> None:
    assert words in results(Goal.SCORE, A, B, gone=gone).record(0)["text"]
