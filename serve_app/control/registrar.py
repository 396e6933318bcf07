"""Control's desk for adapters: commands in, answers out."""

import asyncio
from collections.abc import Callable

from serve_app.adapters.commands import (
    Answer,
    Command,
    PutAlias,
    Register,
    Remove,
    RemoveAlias,
    Rollback,
)
from serve_app.control.book import Book, Change
from serve_app.control.changes import opening
from serve_app.control.ledger import Ledger
from serve_app.control.moves import Move, moved
from serve_app.control.reading import Reading
from serve_app.control.registering import Registering
from serve_app.control.rules import Rules
from serve_app.errors import AdapterConflict


class Registrar:
    """Adapters as they are asked for.

    Args:
        unix: the time of day, in seconds.
    """

    def __init__(
        self,
        ledger: Ledger,
        registering: Registering,
        reading: Reading,
        rules: Rules,
        unix: Callable[[], float],
    ) -> None:
        self._ledger = ledger
        self._registering = registering
        self._reading = reading
        self._rules = rules
        self._unix = unix

    async def answer(self, command: Command) -> Answer:
        """What came of the command.

        Raises:
            ApiError: it is refused.
        """
        match command:
            case Register():
                return await self._register(command)
            case Rollback() | PutAlias() | RemoveAlias() | Remove():
                return await self._move(command)
            case _:
                return await self._reading.answer(command)

    async def _register(self, command: Register) -> Answer:
        """Write it down, bring it in force, tell how it ended."""
        written: list[Change] = []

        def decide(book: Book, _revision: int) -> Change:
            written[:] = [opening(command, book, self._rules, int(self._unix()))]
            return written[0]

        revision = await self._ledger.write(decide)
        task = self._registering.start(written[0].registrations[0])
        if not command.wait:
            return self._reading.record(command, revision, status=202)
        await asyncio.wait([task])
        if task.cancelled():
            raise AdapterConflict("The adapter was removed meanwhile.", code="adapter_removed")
        return self._reading.record(command, task.result())

    async def _move(self, command: Move) -> Answer:
        revision = await self._ledger.write(
            lambda book, revision: moved(command, book, self._rules, revision, int(self._unix()))
        )
        self._registering.give_up()
        return self._reading.record(command, revision)
