"""What may be done to experiments, as gateways ask control for it. Plain data, pickled by Ray."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from serve_app.adapters.commands import Actor
from serve_app.experiments.experiment import Arm


class Goal(StrEnum):
    """By what arms are compared."""

    SCORE = "score"  # feedback; more is better
    LATENCY = "first_token_s"  # less is better
    SPEED = "tokens_per_s"  # more is better


@dataclass(frozen=True, slots=True)
class Create:
    """Make an experiment.

    Attributes:
        arms: the first is the control arm.
        min_effect: the least difference of the goal that anybody cares for.
        owner: the tenant whose it is; the actor's if None.
        start: begin at once.
    """

    actor: Actor
    name: str
    arms: tuple[Arm, ...]
    goal: Goal = Goal.SCORE
    min_effect: float = 0.0
    description: str = ""
    owner: str | None = None
    start: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class Pause:
    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class Reweigh:
    """Other weights for these arms, by name."""

    actor: Actor
    name: str
    weights: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Ramp:
    """Give one arm this share of all units."""

    actor: Actor
    name: str
    arm: str
    share: float


@dataclass(frozen=True, slots=True)
class Stop:
    """End it: ``winner``, or the control arm, answers from now on."""

    actor: Actor
    name: str
    winner: str | None = None


@dataclass(frozen=True, slots=True)
class Promote:
    """End it with a winner, and let ``alias`` mean the winner's version from now on.

    Attributes:
        arm: the winner; that which was found better, if None.
    """

    actor: Actor
    name: str
    arm: str | None = None
    alias: str | None = None


@dataclass(frozen=True, slots=True)
class Delete:
    """Take an experiment away, with all that was observed."""

    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class ShowExperiment:
    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class ShowResults:
    actor: Actor
    name: str


@dataclass(frozen=True, slots=True)
class ListAnswers:
    """A page of what shadow arms, or one, answered, newest first.

    Attributes:
        after: the id of the last one seen.
    """

    actor: Actor
    name: str
    arm: str | None = None
    limit: int = 100
    after: int | None = None


@dataclass(frozen=True, slots=True)
class ListFeedback:
    """A page of what was thought of answers of all arms, or of one, newest first; ``after`` as in
    ``ListAnswers``."""

    actor: Actor
    name: str
    arm: str | None = None
    limit: int = 100
    after: int | None = None


@dataclass(frozen=True, slots=True)
class ListExperiments:
    """A page of experiments by name, those after the name ``after``."""

    actor: Actor
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class GiveFeedback:
    """What somebody thought of an answer.

    Attributes:
        request_id: of the answer, or the answer's own id.
        score: -1 to 1.
        preferred_over: another request, whose answer was liked less: that one's score is 0.
    """

    actor: Actor
    request_id: str
    score: float
    preferred_over: str | None = None
    labels: Mapping[str, str] = field(default_factory=dict)


Change = Start | Pause | Reweigh | Ramp | Stop
"""What changes an experiment by itself."""

ExperimentCommand = (
    Create
    | Change
    | Promote
    | Delete
    | ShowExperiment
    | ShowResults
    | ListAnswers
    | ListFeedback
    | ListExperiments
)
