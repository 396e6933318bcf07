"""Where every change goes through: decided on what the database says, written, then told."""

import asyncio
import logging
from collections.abc import Callable

from serve_app.control.book import Book, Change
from serve_app.control.broadcast import Broadcast
from serve_app.control.enrolment import Enrolment
from serve_app.control.store import Store
from serve_app.experiments.experiment import Experiment
from serve_app.feed import Update
from serve_app.tenancy.roll import Roll

LOGGER = logging.getLogger("ray.serve")

Decide = Callable[[Book, int], Change | None]
"""What to write, from the registry as it is and the revision the change will have."""


class Ledger:
    """The registry: durable in the store, whole in memory, told by the broadcast.

    Attributes:
        book: what the database said last. Read it; only a ledger changes it.
    """

    def __init__(
        self, store: Store, book: Book, broadcast: Broadcast, enrolment: Enrolment
    ) -> None:
        self.book = book
        self._store = store
        self._broadcast = broadcast
        self._enrolment = enrolment
        self._turn = asyncio.Lock()
        self._writes: set[asyncio.Task[int]] = set()
        self._become()

    async def write(self, decide: Decide, declared: Roll | None = None) -> int:
        """Write what ``decide`` says; the revision in which it can be seen.

        ``declared`` takes the place of who was declared before; it is not written anywhere.

        It ends even when nobody waits for it any more. What ``decide`` raises is raised, and
        nothing is written then; nor is it when it returns None.

        Raises:
            RegistryUnavailable: the database would not take it.
        """
        task = asyncio.get_running_loop().create_task(self._write(decide, declared))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)
        return await asyncio.shield(task)

    async def refresh(self) -> None:
        """Take in what somebody else has written.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        async with self._turn:
            if await self._store.revision() != self.book.revision:
                self._turn_to(await self._store.load())

    async def _write(self, decide: Decide, declared: Roll | None) -> int:
        async with self._turn:
            async with self._store.writing() as writing:
                if writing.revision != self.book.revision:
                    self._turn_to(await writing.load())
                change = decide(self.book, writing.revision + 1)
                if change is None:
                    return self.book.revision
                revision = await writing.save(change, self.book.adapters.get)
            entries = self.book.take_in(change, revision)
            if declared is None:
                self._broadcast.tell(
                    self._enrolment.told(
                        change, Update(revision, entries=entries, experiments=_experiments(change))
                    )
                )
            else:
                self._enrolment.declared = declared
                self._become()
                self._broadcast.declared()
        return revision

    def _turn_to(self, book: Book) -> None:
        """What a write, whose end was not heard, or another process has left."""
        LOGGER.info("the registry is at revision %d, not %d", book.revision, self.book.revision)
        self.book = book
        self._become()

    def _become(self) -> None:
        roll = self._enrolment.everybody(self.book)
        self._broadcast.become(
            Update(
                self.book.revision,
                entries=self.book.entries(),
                tenants=roll.tenants,
                keys=roll.keys,
                experiments={s.name: s.experiment for s in self.book.studies.values()},
            )
        )


def _experiments(change: Change) -> dict[str, Experiment | None]:
    gone = dict.fromkeys(study.name for study in change.gone_studies)
    return gone | {study.name: study.experiment for study in change.studies}
