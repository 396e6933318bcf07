"""What an application is asked of experiments, and told of answers. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from serve_app.client.experiment_records import (
    Experiment,
    ExperimentDeleted,
    ExperimentPage,
    ExperimentResults,
    Feedback,
    Judged,
    JudgedPage,
    ShadowAnswer,
    ShadowAnswerPage,
)
from serve_app.client.records import Page
from serve_app.client.request import Request, named, path

PAGE = 100
"""Experiments asked for at once."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One of what is to be compared.

    Attributes:
        name: names it in headers and results.
        model: what answers: an adapter, ``adapter@v2``, an alias, or ``base``.
        weight: its part of the units, in any unit; 1 if None, and 0 for a shadow.
        shadow: the share of requests, 0 to 1, it gets copies of; it then answers nobody.
    """

    name: str
    model: str
    weight: float | None = None
    shadow: float = 0.0


Arms = Mapping[str, str] | Iterable[Arm | Mapping[str, Any]]
"""Models by the names of arms, or arms, or mappings of an arm's fields; the first is the control
arm, which the others are compared with."""


class Design(TypedDict, total=False):
    """How arms are to be compared; what is left out, or None, is left to the application.

    Attributes:
        goal: by ``score``, which is feedback, ``first_token_s`` or ``tokens_per_s``; by feedback,
            unless said.
        min_effect: the least difference of the goal that anybody cares for.
        owner: the tenant whose it is; for admins.
        start: share out units at once.
    """

    goal: str | None
    min_effect: float | None
    description: str | None
    owner: str | None
    start: bool


def every() -> Request[Page[Experiment]]:
    """The experiments, by name."""
    return Request("get", path("experiments"), ExperimentPage, query={"limit": PAGE})


def create(name: str, arms: Arms, design: Design) -> Request[Experiment]:
    """A new experiment.

    Raises:
        TypeError: an arm lacks a field, or has one that is none.
    """
    body = {"name": name, "arms": [_told(arm) for arm in _arms(arms)], **named(**design)}
    return Request("post", path("experiments"), Experiment, body)


def get(name: str) -> Request[Experiment]:
    """An experiment."""
    return Request("get", path("experiments", name), Experiment)


def start(name: str) -> Request[Experiment]:
    """That units be shared out."""
    return Request("post", path("experiments", name, "start"), Experiment)


def pause(name: str) -> Request[Experiment]:
    """That they not be, for a while."""
    return Request("post", path("experiments", name, "pause"), Experiment)


def set_weights(name: str, weights: Mapping[str, float]) -> Request[Experiment]:
    """Other weights of those arms."""
    return Request("patch", path("experiments", name), Experiment, {"weights": dict(weights)})


def ramp(name: str, arm: str, share: float) -> Request[Experiment]:
    """That share of all units for one arm."""
    body = {"arm": arm, "share": share}
    return Request("post", path("experiments", name, "ramp"), Experiment, body)


def stop(name: str, winner: str | None) -> Request[Experiment]:
    """An end."""
    body = named(winner=winner) or None
    return Request("post", path("experiments", name, "stop"), Experiment, body)


def promote(name: str, arm: str | None, alias: str | None) -> Request[Experiment]:
    """An end with a winner."""
    body = named(arm=arm, alias=alias) or None
    return Request("post", path("experiments", name, "promote"), Experiment, body)


def results(name: str) -> Request[ExperimentResults]:
    """What it shows."""
    return Request("get", path("experiments", name, "results"), ExperimentResults)


def answers(name: str, arm: str | None) -> Request[Page[ShadowAnswer]]:
    """What shadow arms answered."""
    query = named(limit=PAGE, arm=arm)
    return Request("get", path("experiments", name, "answers"), ShadowAnswerPage, query=query)


def judged(name: str, arm: str | None) -> Request[Page[Judged]]:
    """What was thought of answers."""
    query = named(limit=PAGE, arm=arm)
    return Request("get", path("experiments", name, "feedback"), JudgedPage, query=query)


def delete(name: str) -> Request[ExperimentDeleted]:
    """That there be no such experiment."""
    return Request("delete", path("experiments", name), ExperimentDeleted)


def feedback(
    request_id: str,
    score: float | None,
    preferred_over: str | None,
    labels: Mapping[str, str] | None,
) -> Request[Feedback]:
    """What is said of an answer.

    Raises:
        ValueError: there is neither a score nor an answer it is better than, or both.
    """
    if (score is None) == (preferred_over is None):
        raise ValueError("feedback is either a score or preferred_over")
    said = named(score=score, preferred_over=preferred_over, labels=labels)
    return Request("post", path("feedback"), Feedback, {"request_id": request_id, **said})


def _arms(arms: Arms) -> list[Arm]:
    if isinstance(arms, Mapping):
        return [Arm(name, model) for name, model in arms.items()]
    return [arm if isinstance(arm, Arm) else Arm(**arm) for arm in arms]


def _told(arm: Arm) -> dict[str, Any]:
    weight = arm.weight
    if weight is None:
        weight = 0.0 if arm.shadow else 1.0
    return {"name": arm.name, "model": arm.model, "weight": weight, "shadow": arm.shadow}
