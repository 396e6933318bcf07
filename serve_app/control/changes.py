"""How a registration begins and ends, decided on the registry as it is. Pure."""

from collections.abc import Mapping
from dataclasses import replace

from serve_app.adapters.commands import Register
from serve_app.adapters.preflight import Checked
from serve_app.adapters.version import DIGEST_CHARS, Version
from serve_app.control.adapter import (
    Adapter,
    Kept,
    State,
    Terms,
    claimed,
    number_for,
    on_terms,
    published,
)
from serve_app.control.book import Book, Change
from serve_app.control.permissions import may_manage, must_be_free, registering, taken
from serve_app.control.registration import Registration, Step, failed, shown_source, succeeded
from serve_app.control.rules import Rules, deed_of, keep_of, must_leave_room
from serve_app.errors import AdapterConflict, AdapterRefused, ApiError


def opening(command: Register, book: Book, rules: Rules, now: int) -> Change:
    """The registration written down.

    Raises:
        ApiError: the actor may not register this, or the name is not to be had.
    """
    owner = registering(command, book, rules.base)
    name = command.name
    before, free = book.adapters.get(name), book.free(name)
    adapter = claimed(before, name, owner, now, free=free, declared=False)
    must_leave_room(
        adapter if command.pin is None else replace(adapter, pin=command.pin), book, rules
    )
    if not command.actor.admin:
        command = replace(command, owner=owner)
    attempt = Registration(book.last_registration + 1, command, Step.REGISTERED, now)
    source = shown_source(command.source)
    deed = deed_of(command.actor, "register", adapter, now, source=source, id=attempt.id)
    return Change((deed,), (adapter,), (attempt,))


def publication(
    registration: Registration,
    checked: Checked,
    book: Book,
    rules: Rules,
    revision: int,
    now: int,
) -> Change:
    """The registration's content in force.

    Raises:
        AdapterRefused: it is not the content that was expected.
        AdapterConflict: the name is gone or taken, or there is no room to pin it.
    """
    _must_be_open(registration, book)
    _must_be_expected(registration.command, checked)
    before = book.adapters[registration.adapter]
    must_be_free(before.name, before.name, book)
    if not may_manage(registration.command.actor, before):  # it changed hands meanwhile
        raise taken(before.name)
    new = _kept(registration, checked, before, now)
    after = published(_agreed(before, registration), new, keep_of(before, book, rules), revision)
    must_leave_room(after, book, rules)
    number = new.version.number
    ended = succeeded(registration, number, now)
    detail = {"id": registration.id, "version": number, "digest": checked.digest}
    deed = deed_of(registration.command.actor, "publish", after, now, **detail)
    return Change((deed,), (after,), (ended,))


def failure(registration: Registration, error: ApiError, book: Book, now: int) -> Change | None:
    """The registration's end in failure; None if it has ended already."""
    if registration.id not in book.open:
        return None
    adapter = book.adapters[registration.adapter]
    detail = {"id": registration.id, "code": error.code}
    deed = deed_of(registration.command.actor, "fail", adapter, now, **detail)
    return Change((deed,), (), (failed(registration, error, now),))


def _kept(registration: Registration, checked: Checked, adapter: Adapter, now: int) -> Kept:
    command = registration.command
    number = number_for(adapter, checked.digest)
    version = Version(adapter.name, number, checked.digest, checked.rank, checked.size_bytes)
    _must_be_told_apart(version, adapter.versions)
    return Kept(version, shown_source(command.source), State.LIVE, now, command.actor.tenant)


def _agreed(adapter: Adapter, registration: Registration) -> Adapter:
    """The adapter on the registration's terms."""
    command, declared = registration.command, registration.declared
    terms = Terms(command.grants, command.description, command.labels, command.preload, command.pin)
    adapter = on_terms(adapter, terms)
    if declared is None:
        return replace(adapter, owner=command.owner or adapter.owner)
    return replace(
        adapter, owner=command.owner, stamp=declared.stamp, terms=declared.terms, declared=True
    )


def _must_be_open(registration: Registration, book: Book) -> None:
    if registration.id not in book.open:
        raise AdapterConflict("The adapter was removed meanwhile.", code="adapter_removed")


def _must_be_expected(command: Register, checked: Checked) -> None:
    if command.digest is not None and command.digest.lower() != checked.digest:
        raise AdapterRefused(
            f"adapter {command.name!r}: the content's digest is {checked.digest}, not the expected "
            f"{command.digest}",
            code="adapter_digest_mismatch",
        )


def _must_be_told_apart(version: Version, known: Mapping[int, Kept]) -> None:
    """Engines know versions by a short digest: two that share it are one too many."""
    for kept in known.values():
        if kept.version.name == version.name and kept.version.digest != version.digest:
            raise AdapterRefused(
                f"adapter {version.adapter!r}: the first {DIGEST_CHARS} digits of its digest are "
                "those of another version; change a byte of its configuration",
                code="adapter_digest_collision",
            )
