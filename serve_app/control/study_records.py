"""Experiments and feedback as JSON objects. Pure."""

from collections.abc import Mapping
from typing import Any

from serve_app.control.study import Study
from serve_app.experiments.commands import GiveFeedback

Json = dict[str, Any]


def study_record(study: Study) -> Json:
    """One experiment; shares are of all units."""
    experiment = study.experiment
    total = sum(experiment.weights)
    return {
        "id": experiment.name,
        "object": "experiment",
        "owner": experiment.owner,
        "description": study.description,
        "state": experiment.state.value,
        "goal": study.goal.value,
        "min_effect": study.min_effect,
        "winner": experiment.winner,
        "arms": [
            {
                "name": arm.name,
                "model": arm.model,
                "weight": arm.weight,
                "share": arm.weight / total,
                "shadow": arm.shadow,
            }
            for arm in experiment.arms
        ],
        "created": study.created,
        "updated": study.updated,
        "started": study.started,
        "ended": study.ended,
    }


def answer_record(row: Mapping[str, Any]) -> Json:
    """What a shadow arm answered to a copy of a request."""
    told = {name: row[name] for name in ("arm", "request_id", "at", "answer")}
    return {"id": str(row["id"]), "object": "experiment.answer", **told}


def judged_record(row: Mapping[str, Any]) -> Json:
    """What was thought of an arm's answer."""
    told = {name: row[name] for name in ("arm", "request_id", "at", "score", "labels")}
    return {"id": str(row["id"]), "object": "experiment.feedback", **told}


def feedback_record(
    request_id: str, command: GiveFeedback, experiment: str | None, arm: str
) -> Json:
    """What somebody thought of an answer, and which arm it counts for, if ``experiment`` is one's
    name."""
    return {
        "object": "feedback",
        "request_id": request_id,
        "score": command.score,
        "preferred_over": command.preferred_over,
        "labels": dict(command.labels),
        "experiment": experiment,
        "arm": arm if experiment is not None else None,
    }
