"""Control's desk for feedback: what people think of answers."""

import asyncio

from serve_app.adapters.commands import Answer
from serve_app.control.ledger import Ledger
from serve_app.control.observations import Answered, Observations
from serve_app.control.store import Store
from serve_app.control.study_records import feedback_record
from serve_app.control.times import Times
from serve_app.control.unit_sums import arm_of
from serve_app.errors import InvalidRequest, NotFound
from serve_app.experiments.commands import GiveFeedback

LOOK_S = 0.25
"""Usage that is awaited is looked for so often."""
MOST_WAITING = 100
"""Feedback that waits at a time; more is not waited with, for each asks the database."""
SCORE_DIGITS = 6
"""Of a score: squares of much smaller ones are beyond a database's numbers."""
PREFIXES = ("chatcmpl-", "cmpl-", "resp_")
"""What vLLM's answers put before the id of their request."""


class Judging:
    """Feedback as it is given.

    Args:
        times: the clocks, and how long usage may take to be here.
    """

    def __init__(self, ledger: Ledger, store: Store, times: Times) -> None:
        self._ledger = ledger
        self._observations = Observations(store)
        self._times = times
        self._waiting = 0

    async def answer(self, command: GiveFeedback) -> Answer:
        """Keep what somebody thought of an answer.

        Raises:
            NotFound: the tenant has had no such answer.
            RegistryUnavailable: it was not, or may not have been, written; it may come again.
        """
        one = await self._answered(command, command.request_id, "request_id")
        other = None
        if command.preferred_over is not None:
            other = await self._answered(command, command.preferred_over, "preferred_over")
            if other.request_id == one.request_id:
                raise InvalidRequest(
                    "preferred_over: it is the same request.", param="preferred_over"
                )
        await self._judge(command, one, command.score)
        if other is not None:
            await self._judge(command, other, 0.0)
        name = self._name_of(one.experiment) if one.unit else None
        return Answer(200, feedback_record(one.request_id, command, name, arm_of(one.arm)))

    async def _answered(self, command: GiveFeedback, given: str, param: str) -> Answered:
        """The request of that id, which may be over but a moment ago."""
        ids = [given, *(given.removeprefix(p) for p in PREFIXES if given.startswith(p))]
        found = await self._observations.answered(command.actor.tenant, ids)
        if found is None and self._waiting < MOST_WAITING:
            self._waiting += 1
            try:
                found = await self._awaited(command.actor.tenant, ids)
            finally:
                self._waiting -= 1
        if found is None:
            raise NotFound(
                f"No request `{given}` of yours is known: give the `x-request-id` of its answer, "
                "or the answer's own id, once it is over.",
                param=param,
                code="request_not_found",
            )
        return found

    async def _awaited(self, tenant: str, ids: list[str]) -> Answered | None:
        loop = asyncio.get_running_loop()
        until = loop.time() + self._times.heard_s
        while loop.time() < until:
            await asyncio.sleep(min(LOOK_S, self._times.heard_s))
            found = await self._observations.answered(tenant, ids)
            if found is not None:
                return found
        return None

    async def _judge(self, command: GiveFeedback, answered: Answered, score: float) -> None:
        counted = bool(answered.unit)
        row = {
            "id": answered.id,
            "tenant": command.actor.tenant,
            "request_id": answered.request_id,
            "at": int(self._times.unix()),
            "score": round(score, SCORE_DIGITS),
            "labels": dict(command.labels),
            "salt": answered.experiment if counted else "",
            "arm": arm_of(answered.arm) if counted else "",
        }
        await self._observations.judge(answered, row)

    def _name_of(self, salt: str) -> str | None:
        studies = self._ledger.book.studies.values()
        return next((s.name for s in studies if s.experiment.salt == salt), None)
