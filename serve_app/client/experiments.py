"""The experiments of one application."""

from collections.abc import Iterator, Mapping
from typing import Unpack

from openai import OpenAI

from serve_app.client import experiment_requests as requests
from serve_app.client.asking import ask, every
from serve_app.client.experiment_records import (
    Experiment,
    ExperimentDeleted,
    ExperimentResults,
    Judged,
    ShadowAnswer,
)
from serve_app.client.experiment_requests import Arms, Design


class Experiments:
    """Makes experiments, changes and ends them, and tells what they show.

    An experiment is a name to give as ``model``: whom it answers, an arm of it does, and the same
    arm every time. Every method raises ``openai.APIError``, as those of ``LoraClient`` do.
    """

    def __init__(self, openai: OpenAI) -> None:
        self._openai = openai

    def create(self, name: str, arms: Arms, **design: Unpack[Design]) -> Experiment:
        """A new experiment.

        Args:
            arms: 2 to 10: models by the names of arms, or ``Arm`` objects, or mappings of an arm's
                fields. The first is the control arm, which the others are compared with.
            design: any of ``Design``: ``goal``, ``min_effect``, ``start``, ...

        Raises:
            TypeError: an arm lacks a field, or has one that is none.
        """
        return ask(self._openai, requests.create(name, arms, design))

    def list(self) -> Iterator[Experiment]:
        """Every experiment this key may see, by name."""
        return every(self._openai, requests.every())

    def get(self, name: str) -> Experiment:
        """One experiment."""
        return ask(self._openai, requests.get(name))

    def start(self, name: str) -> Experiment:
        """Share out units from now on; after a pause they have the arms they had."""
        return ask(self._openai, requests.start(name))

    def pause(self, name: str) -> Experiment:
        """Let the control arm answer everybody until it is started again."""
        return ask(self._openai, requests.pause(name))

    def set_weights(self, name: str, weights: Mapping[str, float]) -> Experiment:
        """Other weights, by arm; the rest stay, and as few units move as can be."""
        return ask(self._openai, requests.set_weights(name, weights))

    def ramp(self, name: str, arm: str, share: float) -> Experiment:
        """Give one arm that share of all units, from 0 to less than 1; what is left, the others
        share as they did."""
        return ask(self._openai, requests.ramp(name, arm, share))

    def stop(self, name: str, winner: str | None = None) -> Experiment:
        """End it for good: that arm, or the control arm if None, answers everybody."""
        return ask(self._openai, requests.stop(name, winner))

    def promote(self, name: str, arm: str | None = None, alias: str | None = None) -> Experiment:
        """End it with a winner.

        Args:
            arm: the winner; that which was found better, if None.
            alias: a name that means the winner's version from now on.

        Raises:
            openai.ConflictError: no arm is named, and none was found better.
        """
        return ask(self._openai, requests.promote(name, arm, alias))

    def results(self, name: str) -> ExperimentResults:
        """What it shows by now; to look often does no harm."""
        return ask(self._openai, requests.results(name))

    def answers(self, name: str, arm: str | None = None) -> Iterator[ShadowAnswer]:
        """What its shadow arms, or that one, answered to copies of requests, the newest first."""
        return every(self._openai, requests.answers(name, arm))

    def feedback(self, name: str, arm: str | None = None) -> Iterator[Judged]:
        """What was thought of answers of its arms, or of that one, the newest first."""
        return every(self._openai, requests.judged(name, arm))

    def delete(self, name: str) -> ExperimentDeleted:
        """Take it away, with what it has observed."""
        return ask(self._openai, requests.delete(name))
