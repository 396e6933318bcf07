"""Who has which arm: by hash alone, so that every gateway finds the same without asking. Pure.

Weighted rendezvous hashing (Thaler and Ravishankar, 1998; with weights as Schindelhauer and
Schomaker, 2005): each arm draws, by hash, an exponential time at a rate of its weight, and the
first has the unit, which is a chance of weight over all weights. When weights change, a unit moves
only to an arm whose weight has grown, as a multiple, by more than that of the arm it leaves: so a
ramp moves units into the ramped arm alone, and none more than it must.
"""

from dataclasses import dataclass
from hashlib import blake2b
from math import log

from serve_app.experiments.experiment import Arm, Experiment
from serve_app.experiments.unit import hidden

_BYTES = 8
_ALL = 1 << (8 * _BYTES)


@dataclass(frozen=True, slots=True)
class Assigned:
    """The arm that a request has.

    Attributes:
        unit: whom it was assigned to, hidden; empty if the request is not to be counted.
        epoch: of the weights it was assigned by; 0 if the arm is a shadow.
    """

    experiment: Experiment
    arm: Arm
    unit: str = ""
    epoch: int = 0

    @property
    def label(self) -> str:
        """``experiment/arm``, as usage has it."""
        return f"{self.experiment.name}/{self.arm.name}"


class Assignment:
    """An experiment, ready to assign. Hashes are prepared once, not at each request."""

    def __init__(self, experiment: Experiment) -> None:
        self.experiment = experiment
        self._everybody = experiment.answering
        self._arms = [
            (arm, _hash(experiment.salt, arm.name, "arm"), 1 / arm.weight)
            for arm in experiment.arms
            if arm.weight
        ]
        self._shadows = [
            (arm, _hash(experiment.salt, arm.name, "shadow"), arm.shadow)
            for arm in experiment.arms
            if arm.shadow and self._everybody is None
        ]

    def assigned(self, tenant: str, unit: str) -> Assigned:
        """The arm that answers a tenant's unit; it counts while units are shared out."""
        if self._everybody is not None:
            return Assigned(self.experiment, self._everybody)
        known = hidden(self.experiment.salt, tenant, unit)
        return Assigned(self.experiment, self.arm(known), known, self.experiment.epoch)

    def uncounted(self) -> Assigned:
        """The control arm, in place of one that cannot answer."""
        return Assigned(self.experiment, self.experiment.control)

    def arm(self, unit: str) -> Arm:
        """The arm that answers a unit: a user, a conversation, or whatever requests go by."""
        if self._everybody is not None:
            return self._everybody
        told = unit.encode("utf-8", "surrogatepass")
        best, soonest = self._arms[0][0], float("inf")
        for arm, prepared, mean in self._arms:
            time = -log(_uniform(prepared, told)) * mean
            if time < soonest:
                best, soonest = arm, time
        return best

    def shadowed(self, assigned: Assigned | None, request: str) -> list[Assigned]:
        """The shadow arms that get a copy of this request of a unit's, by the request's id."""
        unit = assigned.unit if assigned else ""
        return [Assigned(self.experiment, arm, unit) for arm in self.shadows(request)]

    def shadows(self, request: str) -> list[Arm]:
        """The shadow arms that get a copy of this request, by its id."""
        told = request.encode("utf-8", "surrogatepass")
        return [arm for arm, prepared, share in self._shadows if _uniform(prepared, told) <= share]


def _hash(*parts: str) -> "blake2b":
    prepared = blake2b(digest_size=_BYTES)
    for part in parts:
        prepared.update(part.encode() + b"\0")
    return prepared


def _uniform(prepared: "blake2b", told: bytes) -> float:
    """Above 0 and at most 1."""
    drawn = prepared.copy()
    drawn.update(told)
    return (int.from_bytes(drawn.digest()) + 1) / _ALL
