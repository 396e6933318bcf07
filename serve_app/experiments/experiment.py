"""An experiment: a model's name whose requests are shared out among arms. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from math import isfinite

from serve_app.errors import Conflict, InvalidRequest

MAX_ARMS = 10
LEAST = 1e-6
"""An arm that answers anybody answers at least so large a share of all units."""


class State(StrEnum):
    DRAFT = "draft"  # nobody is assigned; its first arm answers all
    RUNNING = "running"
    PAUSED = "paused"  # as draft, and may go on
    STOPPED = "stopped"  # its winner, or its first arm, answers all, for good


@dataclass(frozen=True, slots=True)
class Arm:
    """One of what is compared.

    Attributes:
        name: names it in headers, usage and results.
        model: what answers: an adapter, ``adapter@version``, an alias, or the base.
        weight: its part of the units; the unit of weights is free. 0: nobody.
        shadow: it answers nobody; it gets copies of so large a share of all requests.
    """

    name: str
    model: str
    weight: float = 1.0
    shadow: float = 0.0


@dataclass(frozen=True, slots=True)
class Experiment:
    """What is compared, and how far it has come.

    Attributes:
        name: given as ``model``.
        salt: what makes its assignment unlike that of others; it has no other id, so that one of
            the same name, after this one is deleted, is not taken for it.
        arms: the first is the control arm, which the others are compared with.
        winner: the arm that answers all, once it is stopped.
        owner: the tenant whose it is, and whose requests may name it.
        epoch: counts the weights it has had, from 1.
    """

    name: str
    salt: str
    arms: tuple[Arm, ...]
    state: State = State.DRAFT
    winner: str | None = None
    owner: str = ""
    epoch: int = 1

    def __post_init__(self) -> None:
        """Raises:
        InvalidRequest: the arms make no experiment.
        """
        names = [arm.name for arm in self.arms]
        if not 2 <= len(names) <= MAX_ARMS or len(set(names)) < len(names):
            raise InvalidRequest(
                f"arms: give 2 to {MAX_ARMS} arms of different names.", param="arms"
            )
        for arm in self.arms:
            if not (isfinite(arm.weight) and arm.weight >= 0 and 0 <= arm.shadow <= 1):
                raise InvalidRequest(
                    f"arms: {arm.name} needs a weight of 0 or more, and a shadow from 0 to 1.",
                    param="arms",
                )
            if arm.shadow and arm.weight:
                raise InvalidRequest(
                    f"arms: {arm.name} is a shadow, which answers nobody: its weight must be 0.",
                    param="arms",
                )
        if not any(arm.weight for arm in self.arms) or self.arms[0].shadow:
            raise InvalidRequest(
                "arms: the first is what others are compared with, so it is no shadow, and one "
                "arm at least has a weight above 0.",
                param="arms",
            )
        total = sum(self.weights)
        for arm in self.arms:
            if 0 < arm.weight < LEAST * total:
                raise InvalidRequest(
                    f"arms: {arm.name} would have less than {LEAST:g} of all units; that is 0.",
                    param="arms",
                )

    @property
    def control(self) -> Arm:
        return self.arms[0]

    @property
    def weights(self) -> tuple[float, ...]:
        """Of its arms."""
        return tuple(arm.weight for arm in self.arms)

    @property
    def models(self) -> tuple[str, ...]:
        """What may answer from now on: every arm's, until it is stopped with one that does."""
        last = self.answering if self.state is State.STOPPED else None
        return tuple(arm.model for arm in ((last,) if last else self.arms))

    @property
    def answering(self) -> Arm | None:
        """The arm that answers everybody; None while units are shared out."""
        if self.state is State.RUNNING:
            return None
        return self.arm(self.winner) if self.winner else self.control

    def arm(self, name: str) -> Arm:
        """The arm of this name.

        Raises:
            InvalidRequest: there is none.
        """
        for arm in self.arms:
            if arm.name == name:
                return arm
        raise InvalidRequest(f"arm: {self.name} has no arm {name!r}.", param="arm")

    def started(self) -> "Experiment":
        """Units are shared out from now on.

        Raises:
            Conflict: it is stopped.
        """
        self._must_not_be_stopped("started")
        return replace(self, state=State.RUNNING)

    def paused(self) -> "Experiment":
        """The control arm answers everybody until it is started again, and units then have the
        arms they had.

        Raises:
            Conflict: it does not run.
        """
        if self.state is not State.RUNNING:
            raise self._conflict(f"is {self.state}, so it cannot be paused")
        return replace(self, state=State.PAUSED)

    def reweighted(self, weights: Mapping[str, float]) -> "Experiment":
        """Other weights for these arms; as few units move as can be.

        Raises:
            InvalidRequest: an arm is none of its own, or the weights make no experiment.
            Conflict: it is stopped.
        """
        self._must_not_be_stopped("changed")
        unknown = weights.keys() - {arm.name for arm in self.arms}
        if unknown:
            raise InvalidRequest(
                f"weights: {self.name} has no arm {min(unknown)!r}.", param="weights"
            )
        arms = tuple(replace(a, weight=weights.get(a.name, a.weight)) for a in self.arms)
        return self if arms == self.arms else replace(self, arms=arms, epoch=self.epoch + 1)

    def ramped(self, name: str, share: float) -> "Experiment":
        """One arm has this share of all units, and the others what is left as they had it: units
        move into the arm alone, or out of it alone.

        Args:
            share: 0 up to, but not including, 1.

        Raises:
            InvalidRequest, Conflict: as ``reweighted``.
        """
        others = sum(arm.weight for arm in self.arms if arm.name != name)
        self.arm(name)
        if not 0 <= share < 1 or not others:
            raise InvalidRequest(
                "share: give 0 up to less than 1, while another arm has a weight.", param="share"
            )
        return self.reweighted({name: others * share / (1 - share)})

    def stopped(self, winner: str | None = None) -> "Experiment":
        """For good: ``winner``, or the control arm, answers everybody.

        Raises:
            InvalidRequest: there is no such arm, or it is a shadow.
            Conflict: it is stopped already, with another end.
        """
        if winner is not None and self.arm(winner).shadow:
            raise InvalidRequest(f"arm: {winner} is a shadow; it cannot win.", param="arm")
        ends = winner or self.control.name, self.winner or self.control.name
        if self.state is State.STOPPED and ends[0] != ends[1]:
            raise self._conflict("is stopped already, with another end")
        return replace(self, state=State.STOPPED, winner=winner)

    def _must_not_be_stopped(self, what: str) -> None:
        if self.state is State.STOPPED:
            raise self._conflict(f"is stopped, so it cannot be {what}")

    def _conflict(self, what: str) -> Conflict:
        return Conflict(f"The experiment `{self.name}` {what}.", code="experiment_conflict")
