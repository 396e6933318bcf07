"""What commands change of adapters that are there, decided on the registry as it is. Pure."""

from dataclasses import replace

from serve_app.adapters.commands import PutAlias, Remove, RemoveAlias, Rollback
from serve_app.control.adapter import (
    Adapter,
    State,
    in_force,
    removed,
    with_alias,
    without_alias,
)
from serve_app.control.book import Book, Change
from serve_app.control.permissions import managed, must_be_free, must_name_an_adapter, taken
from serve_app.control.registration import failed
from serve_app.control.rules import Rules, deed_of, keep_of, must_leave_room
from serve_app.errors import AdapterConflict, AdapterNotFound

Move = Rollback | PutAlias | RemoveAlias | Remove


def moved(command: Move, book: Book, rules: Rules, revision: int, now: int) -> Change | None:
    """The change; None if it is so already.

    Raises:
        AdapterNotFound: the actor may not see the adapter, or there is no such version or alias.
        PermissionDenied: the actor may not change it.
        InvalidRequest: an alias is no name.
        AdapterConflict: an alias is taken, there is nothing to go back to or no room to pin, or
            the configuration declares what is to be removed.
    """
    match command:
        case Rollback():
            return _rollback(command, book, rules, revision, now)
        case PutAlias():
            return _put_alias(command, book, rules, revision, now)
        case RemoveAlias():
            return _remove_alias(command, book, rules, revision, now)
        case Remove():
            return _remove(command, book, revision, now)


def _rollback(
    command: Rollback, book: Book, rules: Rules, revision: int, now: int
) -> Change | None:
    """Another version in force; None if it is already."""
    adapter = _managed(command, book)
    if command.version is None and adapter.previous is None:
        raise AdapterConflict(
            "There is no version in force before this one to go back to.",
            code="no_previous_version",
        )
    number = adapter.previous if command.version is None else _number(adapter, command.version)
    assert number is not None
    if number == adapter.current:
        return None
    keep = keep_of(adapter, book, rules)
    after = in_force(replace(adapter, updated=now), number, keep, revision)
    must_leave_room(after, book, rules)
    deed = deed_of(command.actor, "rollback", after, now, version=number)
    return Change((deed,), (after,))


def _put_alias(
    command: PutAlias, book: Book, rules: Rules, revision: int, now: int
) -> Change | None:
    """An alias put or moved; None if it means that version already."""
    adapter = _managed(command, book)
    must_name_an_adapter(command.alias, rules.base, "alias")
    if command.alias == adapter.name:
        raise taken(command.alias)
    must_be_free(command.alias, adapter.name, book)
    number = adapter.current if command.version is None else _number(adapter, command.version)
    assert number is not None
    if adapter.aliases.get(command.alias) == number:
        return None
    adapter = replace(adapter, updated=now)
    keep = keep_of(adapter, book, rules)
    after = with_alias(adapter, command.alias, number, keep, revision)
    must_leave_room(after, book, rules)
    deed = deed_of(command.actor, "put_alias", after, now, alias=command.alias, version=number)
    return Change((deed,), (after,))


def _remove_alias(
    command: RemoveAlias, book: Book, rules: Rules, revision: int, now: int
) -> Change:
    """An alias taken away."""
    adapter = managed(command.actor, book.adapters.get(command.name), command.name)
    if command.alias not in adapter.aliases:
        raise AdapterNotFound(command.alias, code="alias_not_found")
    keep = keep_of(adapter, book, rules)
    after = without_alias(replace(adapter, updated=now), command.alias, keep, revision)
    deed = deed_of(command.actor, "remove_alias", after, now, alias=command.alias)
    return Change((deed,), (after,))


def _remove(command: Remove, book: Book, revision: int, now: int) -> Change | None:
    """The adapter removed, and what is on its way to it given up; None if it is being removed."""
    adapter = managed(command.actor, book.adapters.get(command.name), command.name)
    if adapter.declared:
        raise AdapterConflict(
            f"The adapter `{adapter.name}` is declared in the configuration: remove it there.",
            code="adapter_declared",
        )
    if adapter.removed is not None and book.free(adapter.name):
        if adapter.numbers(State.RETIRING):
            return None
        raise AdapterNotFound(command.name)
    error = AdapterConflict("The adapter was removed meanwhile.", code="adapter_removed")
    ended = tuple(failed(attempt, error, now) for attempt in book.waiting(adapter.name))
    deed = deed_of(command.actor, "remove", adapter, now)
    return Change((deed,), (removed(adapter, revision, now),), ended)


def _managed(command: Rollback | PutAlias, book: Book) -> Adapter:
    """The adapter, if it is the actor's to change and has a version in force."""
    adapter = managed(command.actor, book.adapters.get(command.name), command.name)
    if adapter.current is None:
        raise AdapterNotFound(command.name)
    return adapter


def _number(adapter: Adapter, spec: str) -> int:
    entry = adapter.entry()
    version = entry.numbered(spec) if entry else None
    if version is None:
        raise AdapterNotFound(f"{adapter.name}@{spec}", code="version_not_found", param="version")
    return version.number
