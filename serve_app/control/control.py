"""The registry as it is asked: commands in, answers out, updates to those who follow.

Knows nothing of Ray and HTTP. Used from one event loop.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping

from serve_app.adapters.catalog import Entry
from serve_app.adapters.commands import Answer
from serve_app.adapters.report import Report
from serve_app.control.book import Book
from serve_app.control.broadcast import Broadcast
from serve_app.control.clerk import Clerk
from serve_app.control.declared import declarations, must_be_nameable, redeclared, roll_of
from serve_app.control.enrolment import Enrolment
from serve_app.control.experimenting import Experimenting
from serve_app.control.fleet import Fleet
from serve_app.control.judging import Judging
from serve_app.control.ledger import Ledger
from serve_app.control.reading import Reading
from serve_app.control.registering import Registering, Workshop
from serve_app.control.registrar import Registrar
from serve_app.control.rules import Rules
from serve_app.control.sharing import Sharing
from serve_app.control.store import Store
from serve_app.control.sweeping import Sweeper
from serve_app.control.times import Times
from serve_app.control.usage import UsageBook
from serve_app.directory import Directory
from serve_app.errors import ApiError
from serve_app.experiments.commands import ExperimentCommand, GiveFeedback
from serve_app.feed import AnyCommand, Update
from serve_app.settings import ALONE, LimitsSettings
from serve_app.tenancy.allot import Report as Claims
from serve_app.tenancy.allot import Shares, Subject
from serve_app.tenancy.commands import TenantCommand
from serve_app.tenancy.usage import Batch, ShowUsage

LOGGER = logging.getLogger("ray.serve")
SWEEP_S = 1.0
USAGE_SWEEP_S = 60.0


class Control:
    """The registry. ``await Control.open(...)``, then ``reconfigure`` with what is declared.

    Args:
        pepper: under which keys are hashed.
        limits: where they are shared with other applications; ``sharing`` divides them.
    """

    def __init__(
        self,
        store: Store,
        book: Book,
        workshop: Workshop,
        rules: Rules,
        times: Times,
        pepper: bytes,
        limits: LimitsSettings,
    ) -> None:
        self._store = store
        self._rules = rules
        self._times = times
        self._pepper = pepper
        self._broadcast = Broadcast(times.beat_s)
        enrolment = Enrolment(pepper)
        self._ledger = Ledger(store, book, self._broadcast, enrolment)
        self.sharing = Sharing(limits, self.spent, times)
        self._clerk = Clerk(self._ledger, enrolment, store, pepper, times.unix, self.sharing.used)
        self._usage = UsageBook(
            store, times.unix, times.requests_days, times.usage_days, self._clerk.used
        )
        self._usage_swept_at = times.monotonic()
        self._fleet = Fleet(times.monotonic())
        self._registering = Registering(self._ledger, workshop, rules, times.unix)
        self._registrar = Registrar(
            self._ledger,
            self._registering,
            Reading(self._ledger, self._fleet, self._registering, store),
            rules,
            times.unix,
        )
        self._experimenting = Experimenting(self._ledger, enrolment, store, rules, times)
        self._judging = Judging(self._ledger, store, times)
        self._sweeper = Sweeper(
            self._ledger,
            self._fleet,
            workshop.contents,
            self._registering.in_use,
            times.grace_s,
            times.unix,
            times.monotonic,
        )

    @staticmethod
    async def open(
        url: str,
        workshop: Workshop,
        rules: Rules,
        times: Times,
        pepper: bytes,
        limits: LimitsSettings = ALONE,
    ) -> "Control":
        """The registry in the database at ``url``; registrations left open are taken up again.

        Raises:
            ConfigError: a newer version wrote the database, or Redis' URL cannot be used.
            RegistryUnavailable: it cannot be opened.
        """
        store = await Store.open(url)
        control = Control(store, await store.load(), workshop, rules, times, pepper, limits)
        await control._usage.load()
        control.sharing.start()
        control._registering.resume()
        return control

    @property
    def revision(self) -> int:
        """The revision in force."""
        return self._ledger.book.revision

    @property
    def followers(self) -> int:
        return self._broadcast.followers

    @property
    def entries(self) -> Mapping[str, Entry]:
        """The catalog in force, by name."""
        return self._broadcast.entries

    @property
    def book(self) -> Book:
        """The registry as it is. To be read only."""
        return self._ledger.book

    def follow(self, tenants: bool) -> AsyncIterator[Update]:
        """One whole update, then changes as they come, a beat at least every ``beat_s``."""
        return self._broadcast.updates(tenants)

    def report(self, report: Report) -> None:
        """Take in what a replica holds."""
        self._fleet.hear(report, self._times.monotonic())

    async def record(self, batch: Batch) -> None:
        """Write down what requests have used, once however often it comes.

        Raises:
            RegistryUnavailable: it was not, or may not have been, written; it may come again.
        """
        await self._usage.record(batch)
        self.sharing.recorded(batch)

    def spent(self, subject: Subject) -> tuple[int, int]:
        """Tokens of a tenant or a key this day and this month, UTC."""
        return self._usage.spent(subject)

    async def share(self, claims: Claims) -> Shares:
        """Divide limits: what a gateway may use of those it has claimed."""
        return await self.sharing.share(claims)

    async def manage(self, command: AnyCommand) -> Answer:
        """Do what is asked. A refusal is an answer too."""
        try:
            return await self._do(command)
        except ApiError as error:
            return Answer(error.status, error.envelope(), self.revision, error.headers)

    async def reconfigure(self, directory: Directory) -> None:
        """Apply declared tenants at once, and declared adapters as their content is staged.

        Raises:
            ConfigError: an adapter bears a name that means the base.
            RegistryUnavailable: the database would not take it.
        """
        must_be_nameable(directory.adapters, self._rules.base)
        declared = await asyncio.to_thread(declarations, directory.adapters)
        now = self._now()
        await self._ledger.write(
            lambda book, revision: redeclared(book, directory.adapters, declared, revision, now),
            roll_of(directory, self._pepper),
        )
        self._registering.give_up()
        self._registering.resume()

    async def sweep(self) -> None:
        """Catch up with the database, then let go of what is not needed. To be called often.

        Raises:
            RegistryUnavailable: the database does not answer.
        """
        await self._ledger.refresh()
        self._registering.give_up()
        self._registering.resume()
        await self._sweeper.sweep()
        await self._clerk.sweep()
        self.sharing.sweep()
        now = self._times.monotonic()
        if now - self._usage_swept_at >= USAGE_SWEEP_S:
            self._usage_swept_at = now
            await self._usage.sweep()
            await self._experimenting.sweep(self._usage.forgotten_before)

    async def sweep_forever(self, pause_s: float = SWEEP_S) -> None:
        """Sweep every ``pause_s``. Whatever fails is logged, and tried again."""
        while True:
            await asyncio.sleep(pause_s)
            try:
                await self.sweep()
            except ApiError as error:
                LOGGER.warning("the registry was not swept: %s", error.message)
            except Exception:
                LOGGER.exception("the registry was not swept")

    async def check(self) -> None:
        """Whether the database answers.

        Raises:
            RegistryUnavailable: it does not.
        """
        await self._store.revision()

    async def settled(self) -> None:
        """Wait until no registration is under way."""
        await self._registering.settled()

    async def close(self) -> None:
        """Stop. What is under way is taken up again by the next one to open the database."""
        await self.sharing.close()
        await self._registering.close()
        await self._store.close()

    async def _do(self, command: AnyCommand) -> Answer:
        if isinstance(command, TenantCommand):
            return await self._clerk.answer(command)
        if isinstance(command, ShowUsage):
            return await self._usage.answer(command)
        if isinstance(command, ExperimentCommand):
            return await self._experimenting.answer(command)
        if isinstance(command, GiveFeedback):
            return await self._judging.answer(command)
        return await self._registrar.answer(command)

    def _now(self) -> int:
        return int(self._times.unix())
