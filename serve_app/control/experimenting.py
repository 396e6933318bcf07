"""Control's desk for experiments: commands in, answers out."""

import secrets
from collections.abc import Callable, Iterator
from functools import partial

from serve_app.adapters.commands import Answer
from serve_app.control.book import Book, Change
from serve_app.control.enrolment import Enrolment
from serve_app.control.ledger import Ledger
from serve_app.control.observations import Observations
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
from serve_app.control.study_records import answer_record, judged_record, study_record
from serve_app.control.tenant_records import deleted_record
from serve_app.control.times import Times
from serve_app.errors import Conflict, ModelNotFound
from serve_app.experiments.commands import (
    Create,
    Delete,
    ExperimentCommand,
    ListAnswers,
    ListExperiments,
    ListFeedback,
    Promote,
    ShowExperiment,
    ShowResults,
)

SALT_BYTES = 8


class Experimenting:
    """Experiments as they are asked for.

    Args:
        times: the clocks.
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
            case ListAnswers() | ListFeedback():
                return await self._said(command)
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

    async def _said(self, command: ListAnswers | ListFeedback) -> Answer:
        """What shadow arms said, or what was said of arms."""
        study = managed_study(command.actor, self._ledger.book, command.name)
        asked = study.experiment.salt, command.arm, command.limit + 1, command.after
        if isinstance(command, ListAnswers):
            records = map(answer_record, await self._observations.answers(*asked))
        else:
            records = map(judged_record, await self._observations.feedback(*asked))
        return Answer(200, page(records, command.limit))

    async def _promote(self, command: Promote) -> Answer:
        study = managed_study(command.actor, self._ledger.book, command.name)
        arm = command.arm or study.experiment.winner or (await self._results(study)).leader
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
        experiment = study.experiment
        seen = await self._observations.of(experiment.salt, experiment.epoch)
        return Results(study, seen, self._gone(study))

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
