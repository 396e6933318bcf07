"""Control's desk for experiments and feedback: commands in, answers out."""

import asyncio
import secrets
from collections.abc import Callable, Iterator
from functools import partial

from serve_app.adapters.commands import Answer
from serve_app.control.book import Book, Change
from serve_app.control.enrolment import Enrolment
from serve_app.control.ledger import Ledger
from serve_app.control.observed import arm_of
from serve_app.control.observing import Answered, Observations
from serve_app.control.records import Json, page
from serve_app.control.results import Results
from serve_app.control.rules import Rules
from serve_app.control.store import Store
from serve_app.control.studies import (
    changed,
    created,
    deleted,
    managed_study,
    may_see_study,
    promoted,
    seen_study,
    version_of,
)
from serve_app.control.study import Study
from serve_app.control.study_records import answer_record, feedback_record, study_record
from serve_app.control.tenant_records import deleted_record
from serve_app.control.times import Times
from serve_app.errors import Conflict, InvalidRequest, ModelNotFound, NotFound
from serve_app.experiments.commands import (
    Create,
    Delete,
    ExperimentCommand,
    GiveFeedback,
    ListAnswers,
    ListExperiments,
    Promote,
    ShowExperiment,
    ShowResults,
)

SALT_BYTES = 8
LOOK_S = 0.25
"""Usage that is awaited is looked for so often."""
SCORE_DIGITS = 6
"""Of a score: squares of much smaller ones are beyond a database's numbers."""
PREFIXES = ("chatcmpl-", "cmpl-", "resp_")
"""What vLLM's answers put before the id of their request."""


class Experimenting:
    """Experiments as they are asked for.

    Args:
        times: the clocks, and how long usage may take to be here.
    """

    def __init__(
        self, ledger: Ledger, enrolment: Enrolment, store: Store, rules: Rules, times: Times
    ) -> None:
        self._ledger = ledger
        self._enrolment = enrolment
        self._observations = Observations(store)
        self._rules = rules
        self._times = times

    async def answer(self, command: ExperimentCommand) -> Answer:
        """What came of the command.

        Raises:
            ApiError: it is refused.
        """
        book, actor = self._ledger.book, command.actor
        match command:
            case ShowExperiment():
                return self._told(book.revision, command.name, command)
            case ListExperiments():
                return Answer(200, page(self._listed(command), command.limit), book.revision)
            case ShowResults():
                found = await self._results(seen_study(actor, book, command.name))
                return Answer(200, found.record(self._now()), book.revision)
            case ListAnswers():
                return await self._answers(command)
            case Create():
                revision = await self._ledger.write(self._created(command))
                return self._told(revision, command.name, command, status=201)
            case Promote():
                return await self._promote(command)
            case Delete():
                revision = await self._ledger.write(
                    lambda book, _revision: deleted(command, book, self._now())
                )
                return Answer(200, deleted_record(command.name, "experiment"), revision)
            case _:
                revision = await self._ledger.write(
                    lambda book, _revision: changed(command, book, self._now())
                )
                return self._told(revision, command.name, command)

    async def feedback(self, command: GiveFeedback) -> Answer:
        """Keep what somebody thought of an answer.

        Raises:
            NotFound: the tenant has had no such answer.
            RegistryUnavailable: it was not, or may not have been, written; it may come again.
        """
        tenant = command.actor.tenant
        one = await self._answered(tenant, command.request_id, "request_id")
        other = None
        if command.preferred_over is not None:
            other = await self._answered(tenant, command.preferred_over, "preferred_over")
            if other.request_id == one.request_id:
                raise InvalidRequest(
                    "preferred_over: it is the same request.", param="preferred_over"
                )
        await self._judge(command, one, command.score)
        if other is not None:
            await self._judge(command, other, 0.0)
        name = self._name_of(one.experiment) if one.unit else None
        return Answer(200, feedback_record(one.request_id, command, name, arm_of(one.arm)))

    async def sweep(self, feedback_before: int) -> None:
        """Let go of what is too old, and of what belongs to nothing any more.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        await self._observations.forget(feedback_before)

    def _created(self, command: Create) -> Callable[[Book, int], Change]:
        def decide(book: Book, _revision: int) -> Change:
            salt = secrets.token_hex(SALT_BYTES)
            tenant = partial(self._enrolment.tenant, book=book)
            return created(command, book, self._rules, tenant, salt, self._now())

        return decide

    async def _answers(self, command: ListAnswers) -> Answer:
        study = managed_study(command.actor, self._ledger.book, command.name)
        rows = await self._observations.answers(
            study.experiment.salt, command.arm, command.limit + 1, command.after
        )
        return Answer(200, page(map(answer_record, rows), command.limit))

    async def _promote(self, command: Promote) -> Answer:
        study = managed_study(command.actor, self._ledger.book, command.name)
        arm = command.arm or study.experiment.winner or (await self._results(study)).winner
        if arm is None:
            raise Conflict(
                f"No arm of `{command.name}` is better than the first one so far; name the arm to "
                "promote it all the same.",
                code="experiment_undecided",
            )
        salt = study.experiment.salt
        revision = await self._ledger.write(
            lambda book, revision: promoted(
                command, arm, salt, book, self._rules, revision, self._now()
            )
        )
        return self._told(revision, command.name, command)

    async def _results(self, study: Study) -> Results:
        salt = study.experiment.salt
        moments = await self._observations.moments(salt)
        arrivals = await self._observations.arrivals(salt)
        finishes = await self._observations.finishes(salt)
        return Results(study, moments, arrivals, finishes, self._gone(study))

    def _gone(self, study: Study) -> list[str]:
        """Names of the arms whose model is not the owner's to use any more."""
        book = self._ledger.book
        owner = self._enrolment.tenant(study.owner, book)
        gone = []
        for arm in study.experiment.arms:
            try:
                if owner is not None:
                    version_of(arm.model, owner, book, self._rules.base)
            except ModelNotFound:
                gone.append(arm.name)
        return gone

    async def _answered(self, tenant: str, given: str, param: str) -> Answered:
        ids = [given, *(given.removeprefix(p) for p in PREFIXES if given.startswith(p))]
        until = asyncio.get_running_loop().time() + self._times.heard_s
        while (found := await self._observations.answered(tenant, ids)) is None:
            if asyncio.get_running_loop().time() >= until:
                raise NotFound(
                    f"No request `{given}` of yours is known: give the `x-request-id` of its "
                    "answer, or the answer's own id, once it is over.",
                    param=param,
                    code="request_not_found",
                )
            await asyncio.sleep(LOOK_S)
        return found

    async def _judge(self, command: GiveFeedback, answered: Answered, score: float) -> None:
        row = {
            "tenant": command.actor.tenant,
            "request_id": answered.request_id,
            "usage_id": answered.id,
            "at": self._now(),
            "score": round(score, SCORE_DIGITS),
            "labels": dict(command.labels),
        }
        await self._observations.judge(answered, row)

    def _name_of(self, salt: str) -> str | None:
        studies = self._ledger.book.studies.values()
        return next((s.name for s in studies if s.experiment.salt == salt), None)

    def _told(
        self, revision: int, name: str, command: ExperimentCommand, status: int = 200
    ) -> Answer:
        study = seen_study(command.actor, self._ledger.book, name)
        return Answer(status, study_record(study), revision)

    def _listed(self, command: ListExperiments) -> Iterator[Json]:
        for name, study in sorted(self._ledger.book.studies.items()):
            if name > (command.after or "") and may_see_study(command.actor, study):
                yield study_record(study)

    def _now(self) -> int:
        return int(self._times.unix())
