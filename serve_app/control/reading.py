"""Answers questions: records from memory, so that they go on without the database; the audit log
from where it is kept."""

from collections.abc import Iterator

from serve_app.adapters.commands import (
    Answer,
    List,
    PutAlias,
    Register,
    Remove,
    RemoveAlias,
    Rollback,
    Show,
    ShowAudit,
    ShowVersions,
)
from serve_app.control.adapter import ANSWERING, Adapter, State
from serve_app.control.fleet import Fleet
from serve_app.control.ledger import Ledger
from serve_app.control.permissions import may_see, may_see_all, seen
from serve_app.control.records import Json, deed_record, page, record, version_record
from serve_app.control.registering import Registering
from serve_app.control.store import Store
from serve_app.errors import AdapterNotFound, PermissionDenied

Question = Show | ShowVersions | List | ShowAudit
Named = Show | Register | Remove | Rollback | PutAlias | RemoveAlias


class Reading:
    """The registry to those who ask."""

    def __init__(
        self, ledger: Ledger, fleet: Fleet, registering: Registering, store: Store
    ) -> None:
        self._ledger = ledger
        self._fleet = fleet
        self._registering = registering
        self._store = store

    async def answer(self, question: Question) -> Answer:
        """The answer.

        Raises:
            ApiError: there is nothing of the kind that the actor may see.
        """
        revision = self._ledger.book.revision
        match question:
            case Show():
                return self._show(question)
            case ShowVersions():
                return Answer(200, self._versions(question), revision)
            case List():
                return Answer(200, page(self._records(question), question.limit), revision)
            case ShowAudit():
                return Answer(200, await self._audit(question), revision)

    def record(self, command: Named, revision: int, status: int = 200) -> Answer:
        """The record of the adapter that a command was about."""
        adapter = self._ledger.book.adapters[command.name]
        return Answer(status, self._record(command, adapter), revision)

    def _show(self, question: Show) -> Answer:
        adapter = seen(question.actor, self._ledger.book.adapters.get(question.name), question.name)
        if _is_over(adapter):
            raise AdapterNotFound(question.name)
        return self.record(question, self._ledger.book.revision)

    def _records(self, question: List) -> Iterator[Json]:
        book = self._ledger.book
        for name in book.names_after(question.after):
            adapter = book.adapters[name]
            if may_see(question.actor, adapter) and not _is_over(adapter):
                yield self._record(question, adapter)

    def _record(self, question: Named | List, adapter: Adapter) -> Json:
        latest = self._ledger.book.latest(adapter.name)
        progress = self._registering.progress(latest)
        return record(question.actor, adapter, latest, progress, self._fleet)

    def _versions(self, question: ShowVersions) -> Json:
        """Those of a former life of the name, under another owner perhaps, are for admins."""
        actor = question.actor
        adapter = seen(actor, self._ledger.book.adapters.get(question.name), question.name)
        told = [
            kept
            for number, kept in sorted(adapter.versions.items(), reverse=True)
            if actor.admin
            or kept.state in ANSWERING
            or (may_see_all(actor, adapter) and number > adapter.former)
        ]
        records = [version_record(actor, adapter, kept, self._fleet) for kept in told]
        return page(records, len(records))

    async def _audit(self, question: ShowAudit) -> Json:
        actor = question.actor
        if not (actor.admin or actor.manages):
            raise PermissionDenied("This key may not read the audit log.")
        owner = None if actor.admin else actor.tenant
        rows = await self._store.deeds(question.limit + 1, question.after, owner)
        return page(map(deed_record, rows), question.limit)


def _is_over(adapter: Adapter) -> bool:
    return adapter.removed is not None and not adapter.numbers(State.RETIRING)
