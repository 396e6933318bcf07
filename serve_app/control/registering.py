"""Brings registrations from the command that was written down to content in force, or to failure.

Those of one name follow one another; different names run side by side.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from serve_app.adapters.preflight import Checked
from serve_app.adapters.version import Version
from serve_app.control.book import Book, Change
from serve_app.control.changes import failure, publication
from serve_app.control.ledger import Ledger
from serve_app.control.records import Progress
from serve_app.control.registration import Registration, Step
from serve_app.control.rules import Rules
from serve_app.errors import ApiError, RegistryUnavailable

LOGGER = logging.getLogger("ray.serve")


class Stager(Protocol):
    """Fetches, checks and keeps an adapter."""

    async def stage(
        self, adapter: str, source: str, progress: Callable[[int], None]
    ) -> Checked: ...


class Contents(Protocol):
    """What is kept of adapters on this node, by digest. May block on the disk."""

    def has(self, digest: str) -> bool: ...
    def digests(self) -> frozenset[str]: ...
    def remove(self, digest: str) -> None: ...


class Probe(Protocol):
    """Lets a candidate answer on one replica before it goes live."""

    async def probe(self, version: Version) -> None:
        """Raises AdapterRefused: it does not load or does not answer."""
        ...


class Outcomes(Protocol):
    """Counts how registrations end."""

    def registered(self, outcome: str, seconds: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Workshop:
    """What a registration is brought in force with.

    Attributes:
        stager: for what admins name.
        trusted: for what the configuration names.
        tenants: for what a tenant names, by its id.
        probe: None if candidates go live unasked.
    """

    stager: Stager
    trusted: Stager
    tenants: Callable[[str], Stager]
    contents: Contents
    probe: Probe | None
    outcomes: Outcomes

    def stager_for(self, registration: Registration) -> Stager:
        """What may fetch what was named, by who named it."""
        if registration.declared:
            return self.trusted
        actor = registration.command.actor
        return self.stager if actor.admin else self.tenants(actor.tenant)


class Registering:
    """The registrations under way. Used from one event loop."""

    def __init__(
        self, ledger: Ledger, workshop: Workshop, rules: Rules, clock: Callable[[], float]
    ) -> None:
        self._ledger = ledger
        self._workshop = workshop
        self._rules = rules
        self._clock = clock
        self._tasks: dict[int, asyncio.Task[int]] = {}
        self._last: dict[str, asyncio.Task[int]] = {}
        self._progress: dict[int, Progress] = {}
        self._checked: dict[int, Checked] = {}

    def start(self, registration: Registration) -> asyncio.Task[int]:
        """Bring it in force; the revision in which it is.

        The task raises ApiError: why it failed.
        """
        known = self._tasks.get(registration.id)
        if known is not None:
            return known
        name = registration.adapter
        work = self._run(registration, self._last.get(name))
        task = asyncio.get_running_loop().create_task(work)
        self._tasks[registration.id] = self._last[name] = task
        task.add_done_callback(lambda done: self._over(registration, done))
        return task

    def resume(self) -> None:
        """Start what is written down and not under way: after a start, or the database's return."""
        for number in sorted(self._ledger.book.open):
            self.start(self._ledger.book.open[number])

    def in_use(self) -> frozenset[str]:
        """Content that is staged and about to be put in force."""
        return frozenset(checked.digest for checked in self._checked.values())

    def progress(self, registration: Registration | None) -> Progress | None:
        return self._progress.get(registration.id) if registration else None

    def give_up(self) -> None:
        """Stop work on what has been ended by somebody else."""
        for number, task in list(self._tasks.items()):
            if number not in self._ledger.book.open:
                task.cancel()

    async def settled(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(list(self._tasks.values()))

    async def close(self) -> None:
        for task in list(self._tasks.values()):
            task.cancel()
        await self.settled()

    def _over(self, registration: Registration, task: asyncio.Task[int]) -> None:
        self._tasks.pop(registration.id, None)
        self._progress.pop(registration.id, None)
        if registration.id not in self._ledger.book.open:
            self._checked.pop(registration.id, None)
        if self._last.get(registration.adapter) is task:
            del self._last[registration.adapter]
        if not task.cancelled():
            task.exception()  # is for whoever waits, if anybody does

    async def _run(self, registration: Registration, before: asyncio.Task[int] | None) -> int:
        if before is not None:
            await asyncio.wait([before])
        started = time.monotonic()
        try:
            revision = await self._bring(registration)
        except RegistryUnavailable:
            raise  # it stays open, and is taken up again
        except ApiError as error:
            await self._fail(registration, error, time.monotonic() - started)
            raise
        except Exception:
            LOGGER.exception("registration of %s failed", registration.adapter)
            ours = ApiError("The registration failed for a reason that is ours.")
            await self._fail(registration, ours, time.monotonic() - started)
            raise ours from None
        self._workshop.outcomes.registered("live", time.monotonic() - started)
        return revision

    async def _bring(self, registration: Registration) -> int:
        """Stage it, let it answer, put it in force. What was swept meanwhile is staged again."""
        while True:
            checked = await self._staged(registration)
            if self._workshop.probe is not None:
                await self._workshop.probe.probe(self._candidate(registration, checked))
            try:
                return await self._publish(registration, checked)
            except _Swept:
                self._checked.pop(registration.id, None)

    async def _staged(self, registration: Registration) -> Checked:
        known = self._checked.get(registration.id)
        if known is None:
            stager = self._workshop.stager_for(registration)
            self._progress[registration.id] = Progress()
            known = await stager.stage(
                registration.adapter,
                registration.command.source,
                lambda fetched: self._fetched(registration, fetched),
            )
            self._checked[registration.id] = known
        self._progress[registration.id] = Progress(Step.STAGED, known.size_bytes)
        return known

    def _fetched(self, registration: Registration, fetched: int) -> None:
        progress = self._progress.get(registration.id)
        if progress is not None and progress.step is Step.REGISTERED:
            self._progress[registration.id] = replace(progress, bytes=fetched)

    def _candidate(self, registration: Registration, checked: Checked) -> Version:
        return Version(registration.adapter, 0, checked.digest, checked.rank, checked.size_bytes)

    async def _publish(self, registration: Registration, checked: Checked) -> int:
        def decide(book: Book, revision: int) -> Change:
            change = publication(registration, checked, book, self._rules, revision, self._now())
            if not self._workshop.contents.has(checked.digest):
                raise _Swept
            return change

        return await self._ledger.write(decide)

    async def _fail(self, registration: Registration, error: ApiError, seconds: float) -> None:
        LOGGER.warning("registration of %s failed: %s", registration.adapter, error.message)
        await self._ledger.write(
            lambda book, _revision: failure(registration, error, book, self._now())
        )
        self._workshop.outcomes.registered(error.code, seconds)

    def _now(self) -> int:
        return int(self._clock())


class _Swept(Exception):
    """The content was deleted between being staged and being put in force."""
