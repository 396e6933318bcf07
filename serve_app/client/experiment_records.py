"""Experiments and feedback as the application tells of them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Literal

from serve_app.client.records import Page, Record


class ExperimentArm(Record):
    """One of what is compared; the first of an experiment is the control arm.

    Attributes:
        model: the version that answers, ``adapter@v2``, or the base.
        weight: its part of the units, in any unit.
        share: the same, of 1.
        shadow: the share of requests it gets copies of; it answers nobody, if above 0.
    """

    name: str
    model: str
    weight: float
    share: float
    shadow: float = 0.0


class Experiment(Record):
    """A name, given as ``model``, whose requests are shared out among arms.

    Attributes:
        id: its name.
        state: ``draft``, ``running``, ``paused`` or ``stopped``.
        goal: the figure arms are compared by.
        min_effect: the least difference of it that anybody cares for.
        winner: the arm that answers everybody now that it is stopped; None while it is not, and
            where that is the control arm because none was named.
        created, updated, started, ended: unix seconds.
    """

    id: str
    object: Literal["experiment"]
    state: str
    goal: str
    arms: Sequence[ExperimentArm]
    owner: str | None = None
    description: str = ""
    min_effect: float = 0.0
    winner: str | None = None
    created: int | None = None
    updated: int | None = None
    started: int | None = None
    ended: int | None = None


class ExperimentPage(Page[Experiment]):
    """Some experiments, in the order of their names."""


class ExperimentDeleted(Record):
    """There is no such experiment any more."""

    id: str
    object: Literal["experiment.deleted"]


class ShadowAnswer(Record):
    """What a shadow arm answered to a copy of a request, and nobody was given.

    Attributes:
        request_id: of the request that was copied.
        at: unix seconds.
    """

    id: str
    object: Literal["experiment.answer"]
    arm: str
    request_id: str
    at: int
    answer: str


class ShadowAnswerPage(Page[ShadowAnswer]):
    """Some answers, the newest first."""


class Judged(Record):
    """What was thought of an arm's answer.

    Attributes:
        score: -1 to 1.
        at: unix seconds.
    """

    id: str
    object: Literal["experiment.feedback"]
    arm: str
    request_id: str
    at: int
    score: float
    labels: Mapping[str, str] = {}


class JudgedPage(Page[Judged]):
    """Some feedback, on the newest requests first."""


class Figure(Record):
    """What was observed of an arm; None where nothing was, or too little to tell.

    Attributes:
        low, high: of the interval about the mean, which may be looked at any time.
        count: what the mean is of.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    count: int = 0


class ArmResults(Record):
    """What came of one arm.

    Attributes:
        units: users, or conversations, that had it.
        share: of all units that come now.
        errors: those of its requests that failed.
        figures: ``score``, ``error_rate`` (0 to 1), ``first_token_s`` (seconds), ``tokens_per_s``
            and ``completion_tokens``, by name.
        finish_reasons: requests, by why they ended.
    """

    name: str
    model: str
    units: int
    requests: int
    errors: int
    weight: float = 0.0
    share: float = 0.0
    shadow: float = 0.0
    figures: Mapping[str, Figure] = {}
    finish_reasons: Mapping[str, int] = {}


class Difference(Record):
    """Of an arm from the control arm; None where there is too little to tell.

    Attributes:
        low, high: of the interval about the estimate, which may be looked at any time.
        p: how likely so much or more is, if there is no difference.
    """

    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None


class ArmVerdict(Record):
    """What is found of an arm beside the control arm.

    Attributes:
        finding: ``too_early``, ``better``, ``worse``, ``alike``, ``harmful`` (it fails more often)
            or ``mismatch`` (units are not shared out as the weights say).
        text: the same as a sentence.
        difference: of the goal.
        errors: of the error rate.
        more_units: in both arms together, until the present difference would be told; None if that
            cannot be said.
        detectable: the least difference of the goal that would be told by now, four times of five.
    """

    arm: str
    finding: str
    text: str
    difference: Difference
    errors: Difference
    more_units: int | None = None
    detectable: float | None = None


class Mismatch(Record):
    """Whether units are shared out as the weights say.

    Attributes:
        alarm: they are not, so no result can be believed.
        p: how likely so odd a sharing out is, if all is well.
    """

    alarm: bool
    p: float


class ExperimentResults(Record):
    """What an experiment shows by now.

    Attributes:
        id: the experiment's name.
        at: unix seconds.
        text: all of it as a sentence.
        leader: the arm found better; None if none is.
        method: how sure it is, and by whose word.
        arms: in the order of the experiment.
        verdicts: of each arm but the control arm.
    """

    id: str
    object: Literal["experiment.results"]
    state: str
    goal: str
    at: float
    text: str
    mismatch: Mismatch
    arms: Sequence[ArmResults]
    verdicts: Sequence[ArmVerdict]
    leader: str | None = None
    method: str = ""


class Feedback(Record):
    """What was said of an answer, as it is kept.

    Attributes:
        score: -1 to 1; more is better.
        experiment, arm: that it counts for; None if it counts for none.
    """

    request_id: str
    object: Literal["feedback"]
    score: float | None = None
    labels: Mapping[str, str] = {}
    experiment: str | None = None
    arm: str | None = None
