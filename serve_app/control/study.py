"""An experiment as the registry keeps it. Pure."""

from dataclasses import dataclass, replace

from serve_app.experiments.commands import Goal
from serve_app.experiments.experiment import Arm, Experiment, State


@dataclass(frozen=True, slots=True)
class Study:
    """An experiment and what is noted of it. Times are unix seconds.

    Attributes:
        matters: the least difference of the goal that anybody cares for.
        periods: the weights of its arms, by epoch.
        started: when units were shared out first.
        ended: when it was stopped.
    """

    experiment: Experiment
    created: int
    updated: int
    goal: Goal = Goal.SCORE
    matters: float = 0.0
    description: str = ""
    periods: tuple[tuple[float, ...], ...] = ()
    started: int | None = None
    ended: int | None = None

    @property
    def name(self) -> str:
        return self.experiment.name

    @property
    def owner(self) -> str:
        return self.experiment.owner

    @property
    def used(self) -> tuple[Arm, ...]:
        """The arms that may yet answer."""
        answering = self.experiment.answering
        if self.experiment.state is State.STOPPED and answering is not None:
            return (answering,)
        return self.experiment.arms

    def with_(self, experiment: Experiment, now: int) -> "Study":
        """The study when the experiment has come so far."""
        running = experiment.state is State.RUNNING
        stopped = experiment.state is State.STOPPED
        periods = self.periods
        if experiment.epoch > len(periods):
            periods = (*periods, experiment.weights)
        return replace(
            self,
            experiment=experiment,
            updated=now,
            periods=periods,
            started=now if running and self.started is None else self.started,
            ended=now if stopped and self.ended is None else self.ended,
        )
