"""What an experiment shows, from what was observed of its arms, as a JSON object. Pure."""

from collections.abc import Mapping, Sequence
from math import inf, isfinite
from typing import Any

from serve_app.control.study import Study
from serve_app.control.unit_sums import METRICS, MOMENTS, Seen
from serve_app.experiments.commands import Goal
from serve_app.experiments.experiment import Arm, State
from serve_app.experiments.mismatch import Period, is_mismatch, p_value
from serve_app.experiments.moments import Moments
from serve_app.experiments.sequential import Difference, interval
from serve_app.experiments.verdict import (
    ALPHA,
    ArmMoments,
    Figure,
    Finding,
    Verdict,
    spent,
    verdicts,
)

Json = dict[str, Any]
Row = Mapping[str, Any]

METHOD = (
    "Intervals are asymptotic confidence sequences (Waudby-Smith et al. 2024), which hold at every "
    "look together; a unit is what is assigned, and means over requests go by the delta method "
    f"(Deng et al. 2018). Verdicts share a level of {ALPHA:g} among all arms and all changes of "
    "weights."
)
FIGURES = {
    Goal.SCORE: Figure(),
    Goal.LATENCY: Figure("s to the first token", "streamed answers", less_is_better=True),
    Goal.SPEED: Figure("tokens/s", "whole answers"),
}
BOUNDS = {"error_rate": (0.0, 1.0), "score": (-1.0, 1.0)}
"""Of what a figure can be; all others are 0 or more."""


class Results:
    """What is known of one experiment.

    Verdicts go by what was observed under the present weights alone: after a ramp, who came before
    it would count for the arm that had more units then, and times change. Shadows have none: they
    answer when there is room to spare, and to nobody.

    Args:
        gone: names of arms whose model answers no more.
    """

    def __init__(self, study: Study, seen: Seen, gone: Sequence[str] = ()) -> None:
        self.study = study
        self._seen = seen
        self._gone = gone
        self._totals = {row["arm"]: row for row in seen.totals}
        self._periods = _periods(study, seen.arrivals)
        latest = {row["arm"]: row for row in seen.latest}
        control, *others = (
            _arm_moments(arm.name, latest.get(arm.name), study.goal)
            for arm in study.experiment.arms
            if not arm.shadow
        )
        self.verdicts = verdicts(
            *(control, others, self._periods, study.min_effect),
            FIGURES[study.goal],
            spent(seen.epochs),
        )

    @property
    def leader(self) -> str | None:
        """The arm that is better than the control arm, by the most if there are several."""
        better = [one for one in self.verdicts if one.finding is Finding.BETTER]
        return max(better, key=lambda one: abs(one.score.estimate)).arm if better else None

    def record(self, now: int) -> Json:
        """All of it."""
        experiment = self.study.experiment
        return {
            "object": "experiment.results",
            "id": experiment.name,
            "state": experiment.state.value,
            "goal": self.study.goal.value,
            "at": now,
            "text": self._text(),
            "leader": self.leader,
            "mismatch": {"alarm": is_mismatch(self._periods), "p": p_value(self._periods)},
            "arms": [self._arm(arm) for arm in experiment.arms],
            "verdicts": [self._verdict(one) for one in self.verdicts],
            "method": METHOD,
        }

    def _text(self) -> str:
        said = [one.text for one in self.verdicts]
        if self.study.experiment.state is State.DRAFT:
            said = ["It has not begun: start it."]
        elif self._seen.epochs > 1:
            said = ["Since the weights changed last:", *said]
        refused = self.study.experiment.control.name in self._gone
        instead = "are refused" if refused else "get the control arm's, uncounted"
        said += [f"The model of {arm} answers no more: its units {instead}." for arm in self._gone]
        return " ".join(dict.fromkeys(said))

    def _arm(self, arm: Arm) -> Json:
        row = self._totals.get(arm.name)
        return {
            "name": arm.name,
            "model": arm.model,
            "weight": arm.weight,
            "share": arm.weight / sum(self.study.experiment.weights),
            "shadow": arm.shadow,
            "units": int(row["units"]) if row else 0,
            "requests": int(row["requests"]) if row else 0,
            "errors": int(row["errors"]) if row else 0,
            "figures": {name: _figure(name, _moments(row, name)) for name in METRICS},
            "finish_reasons": {
                one["finish"]: int(one["requests"])
                for one in self._seen.finishes
                if one["arm"] == arm.name
            },
        }

    def _verdict(self, verdict: Verdict) -> Json:
        return {
            "arm": verdict.arm,
            "finding": verdict.finding.value,
            "text": verdict.text,
            "difference": _difference(verdict.score),
            "errors": _difference(verdict.errors),
            "more_units": verdict.more_units,
            "detectable": verdict.detectable,
        }


def _arm_moments(name: str, row: Row | None, goal: Goal) -> ArmMoments:
    return ArmMoments(name, _moments(row, goal.value), _moments(row, "error_rate"))


def _moments(row: Row | None, metric: str) -> Moments:
    if row is None:
        return Moments()
    units, *sums = (row[f"{metric}_{moment}"] or 0 for moment in MOMENTS)
    return Moments(int(units), *map(float, sums))


def _periods(study: Study, arrivals: Sequence[Row]) -> list[Period]:
    """Units by epoch; those of an epoch that is not known are left out."""
    counts = {(row["epoch"], row["arm"]): int(row["units"]) for row in arrivals}
    return [
        Period(weights, tuple(counts.get((epoch, a.name), 0) for a in study.experiment.arms))
        for epoch, weights in enumerate(study.periods, 1)
    ]


def _figure(name: str, moments: Moments) -> Json:
    low, high = interval(moments, ALPHA)
    least, most = BOUNDS.get(name, (0.0, inf))
    return {
        "mean": moments.mean if moments.n else None,
        "low": max(least, low) if isfinite(low) else None,
        "high": min(most, high) if isfinite(high) else None,
        "count": int(moments.n),
    }


def _difference(found: Difference) -> Json:
    return {
        "estimate": found.estimate,
        "low": _finite(found.low),
        "high": _finite(found.high),
        "p": found.p,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
