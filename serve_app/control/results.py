"""What an experiment shows, from what was observed of its arms, as a JSON object. Pure."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from serve_app.control.observed import METRICS, MOMENTS
from serve_app.control.study import Study
from serve_app.experiments.commands import Goal
from serve_app.experiments.experiment import Arm, State
from serve_app.experiments.mismatch import Period, is_mismatch, p_value
from serve_app.experiments.moments import Moments
from serve_app.experiments.power import detectable
from serve_app.experiments.sequential import Difference, interval
from serve_app.experiments.verdict import ALPHA, Finding, Observed, Verdict, verdicts

Json = dict[str, Any]
Rows = Sequence[Mapping[str, Any]]

METHOD = (
    "Intervals are asymptotic confidence sequences (Waudby-Smith et al. 2024), which hold at every "
    "look together; a unit is what is assigned, and means over requests go by the delta method "
    f"(Deng et al. 2018). Verdicts share a level of {ALPHA:g} among all arms."
)
_LESS_IS_BETTER = frozenset({Goal.LATENCY})
_WINNING = (Finding.BETTER,)


class Results:
    """What is known of one experiment.

    Args:
        moments, arrivals, finishes: rows as ``observing.Observations`` gives them.
        gone: names of arms whose model answers no more.
    """

    def __init__(
        self, study: Study, moments: Rows, arrivals: Rows, finishes: Rows, gone: Sequence[str] = ()
    ) -> None:
        self.study = study
        self._rows = {row["arm"]: row for row in moments}
        self._finishes = finishes
        self._gone = gone
        self._periods = _periods(study, arrivals)
        control, *others = map(self._observed, study.experiment.arms)
        self.verdicts = verdicts(control, others, self._periods, study.matters)

    @property
    def winner(self) -> str | None:
        """The arm that is better than the control arm, by the most if there are several; a shadow
        cannot win."""
        shadows = {arm.name for arm in self.study.experiment.arms if arm.shadow}
        better = [
            one for one in self.verdicts if one.finding in _WINNING and one.arm not in shadows
        ]
        return max(better, key=lambda one: one.score.estimate).arm if better else None

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
            "winner": self.winner,
            "mismatch": {"alarm": is_mismatch(self._periods), "p": p_value(self._periods)},
            "arms": [self._arm(arm) for arm in experiment.arms],
            "verdicts": [self._verdict(one) for one in self.verdicts],
            "method": METHOD,
        }

    def _text(self) -> str:
        said = [one.text for one in self.verdicts]
        if self.study.experiment.state is State.DRAFT:
            said = ["It has not begun: start it."]
        said += [
            f"The model of {arm} answers no more: its units get the control arm's, uncounted."
            for arm in self._gone
        ]
        return " ".join(dict.fromkeys(said))

    def _arm(self, arm: Arm) -> Json:
        row = self._rows.get(arm.name)
        return {
            "name": arm.name,
            "model": arm.model,
            "weight": arm.weight,
            "share": arm.weight / sum(self.study.experiment.weights),
            "shadow": arm.shadow,
            "units": int(row["units"]) if row else 0,
            "requests": int(row["requests"]) if row else 0,
            "errors": int(row["errors"]) if row else 0,
            "figures": {name: _figure(self._moments(arm.name, name)) for name in METRICS},
            "finish_reasons": {
                one["finish"]: int(one["requests"])
                for one in self._finishes
                if one["arm"] == arm.name
            },
        }

    def _verdict(self, verdict: Verdict) -> Json:
        control, goal = self.study.experiment.control.name, self.study.goal
        level = ALPHA / max(1, len(self.verdicts)) / 2
        one, other = (self._moments(name, goal.value) for name in (verdict.arm, control))
        return {
            "arm": verdict.arm,
            "finding": verdict.finding.value,
            "text": verdict.text,
            "difference": _difference(verdict.score, -1 if goal in _LESS_IS_BETTER else 1),
            "errors": _difference(verdict.errors),
            "more_units": verdict.more_units,
            "detectable": detectable(one, other, level),
        }

    def _observed(self, arm: Arm) -> Observed:
        goal = self._moments(arm.name, self.study.goal.value)
        score = goal.negated if self.study.goal in _LESS_IS_BETTER else goal
        return Observed(arm.name, score, self._moments(arm.name, "error_rate"))

    def _moments(self, arm: str, metric: str) -> Moments:
        row = self._rows.get(arm)
        if row is None:
            return Moments()
        units, *sums = (row[f"{metric}_{moment}"] or 0 for moment in MOMENTS)
        return Moments(int(units), *map(float, sums))


def _periods(study: Study, arrivals: Rows) -> list[Period]:
    """Units by epoch; those of an epoch that is not known, or of a shadow, are left out."""
    names = [arm.name for arm in study.experiment.arms]
    counts = {(row["epoch"], row["arm"]): int(row["units"]) for row in arrivals}
    return [
        Period(
            tuple(weight for weight in weights if weight),
            tuple(counts.get((epoch, n), 0) for n, w in zip(names, weights, strict=True) if w),
        )
        for epoch, weights in enumerate(study.periods, 1)
    ]


def _figure(moments: Moments) -> Json:
    low, high = interval(moments, ALPHA)
    return {
        "mean": moments.mean if moments.n else None,
        "low": _finite(low),
        "high": _finite(high),
        "count": int(moments.n),
    }


def _difference(found: Difference, sign: int = 1) -> Json:
    low, high = sorted((sign * found.low, sign * found.high))
    return {
        "estimate": sign * found.estimate,
        "low": _finite(low),
        "high": _finite(high),
        "p": found.p,
    }


def _finite(value: float) -> float | None:
    return value if isfinite(value) else None
