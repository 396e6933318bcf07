"""The experiments of one application, to be awaited."""

from collections.abc import AsyncIterator, Mapping
from typing import Unpack

from openai import AsyncOpenAI

from serve_app.client import experiment_requests as requests
from serve_app.client.asking import ask_async, every_async
from serve_app.client.experiment_records import (
    Experiment,
    ExperimentDeleted,
    ExperimentResults,
    Judged,
    ShadowAnswer,
)
from serve_app.client.experiment_requests import Arms, Design


class AsyncExperiments:
    """``Experiments``, to be awaited; its methods, arguments and errors are the same."""

    def __init__(self, openai: AsyncOpenAI) -> None:
        self._openai = openai

    async def create(self, name: str, arms: Arms, **design: Unpack[Design]) -> Experiment:
        """A new experiment."""
        return await ask_async(self._openai, requests.create(name, arms, design))

    def list(self) -> AsyncIterator[Experiment]:
        """Every experiment this key may see, by name."""
        return every_async(self._openai, requests.every())

    async def get(self, name: str) -> Experiment:
        """One experiment."""
        return await ask_async(self._openai, requests.get(name))

    async def start(self, name: str) -> Experiment:
        """Share out units from now on; after a pause they have the arms they had."""
        return await ask_async(self._openai, requests.start(name))

    async def pause(self, name: str) -> Experiment:
        """Let the control arm answer everybody until it is started again."""
        return await ask_async(self._openai, requests.pause(name))

    async def set_weights(self, name: str, weights: Mapping[str, float]) -> Experiment:
        """Other weights, by arm; the rest stay, and as few units move as can be."""
        return await ask_async(self._openai, requests.set_weights(name, weights))

    async def ramp(self, name: str, arm: str, share: float) -> Experiment:
        """Give one arm that share of all units, from 0 to less than 1; what is left, the others
        share as they did."""
        return await ask_async(self._openai, requests.ramp(name, arm, share))

    async def stop(self, name: str, winner: str | None = None) -> Experiment:
        """End it for good: that arm, or the control arm if None, answers everybody."""
        return await ask_async(self._openai, requests.stop(name, winner))

    async def promote(
        self, name: str, arm: str | None = None, alias: str | None = None
    ) -> Experiment:
        """End it with a winner."""
        return await ask_async(self._openai, requests.promote(name, arm, alias))

    async def results(self, name: str) -> ExperimentResults:
        """What it shows by now; to look often does no harm."""
        return await ask_async(self._openai, requests.results(name))

    def answers(self, name: str, arm: str | None = None) -> AsyncIterator[ShadowAnswer]:
        """What its shadow arms, or that one, answered to copies of requests, the newest first."""
        return every_async(self._openai, requests.answers(name, arm))

    def feedback(self, name: str, arm: str | None = None) -> AsyncIterator[Judged]:
        """What was thought of answers of its arms, or of that one, the newest first."""
        return every_async(self._openai, requests.judged(name, arm))

    async def delete(self, name: str) -> ExperimentDeleted:
        """Take it away, with what it has observed."""
        return await ask_async(self._openai, requests.delete(name))
