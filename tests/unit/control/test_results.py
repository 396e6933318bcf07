"""What an experiment is said to show, from sums as the database gives them."""

from typing import Any

import numpy as np
import pytest

from serve_app.control.results import Results
from serve_app.control.study import Study
from serve_app.control.unit_sums import METRICS, MOMENTS, Seen
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


def results(
    goal: Goal,
    *arms: Arm,
    arrivals: Any = (),
    gone: Any = (),
    epochs: int = 1,
    **means: float,
) -> Results:
    experiment = Experiment("e", "salt", arms).started()
    study = Study(experiment, 0, 0, goal).with_(experiment, 0)
    rows = [row(arm, goal, mean) for arm, mean in means.items()]
    return Results(study, Seen(rows, rows, epochs, arrivals), gone)


def test_less_time_is_better_and_is_told_in_seconds() -> None:
    found = results(Goal.LATENCY, A, B, a=0.2, b=0.15)
    assert found.leader == "b"
    told = found.record(0)
    assert told["text"].startswith("b is better than a: -0.05")
    difference = told["verdicts"][0]["difference"]
    assert difference["low"] < difference["estimate"] < difference["high"] < 0


def test_a_shadow_is_not_judged_however_fast_it_is() -> None:
    found = results(Goal.SPEED, A, B, DARK, a=2, b=2.1, dark=3)
    assert (found.leader, [one.arm for one in found.verdicts]) == ("b", ["b"])
    told = found.record(0)
    assert told["arms"][2]["figures"]["tokens_per_s"]["mean"] == pytest.approx(3, abs=0.01)
    alone = results(Goal.SPEED, A, B, a=2, b=2.1)
    assert told["verdicts"] == alone.record(0)["verdicts"], "it takes nothing of the level"


def test_a_figure_is_within_what_it_can_be() -> None:
    told = results(Goal.SCORE, A, B, a=0.999, b=0.5).record(0)["arms"][0]["figures"]["score"]
    assert told["low"] < told["mean"] < told["high"] <= 1


def test_after_a_change_of_weights_it_says_since_when_and_is_less_sure() -> None:
    first, third = (
        results(Goal.SCORE, A, B, epochs=n, a=0.2, b=0.22).record(0)["verdicts"][0]["difference"]
        for n in (1, 3)
    )
    assert third["low"] < first["low"] < first["high"] < third["high"]
    said = results(Goal.SCORE, A, B, epochs=3, a=0.2, b=0.9).record(0)["text"]
    assert said.startswith("Since the weights changed last: b is better than a")


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
