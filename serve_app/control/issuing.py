"""How keys are made, changed and revoked, decided on the registry as it is. Pure."""

from dataclasses import replace
from typing import Any

from serve_app.adapters.commands import Actor
from serve_app.control.account import Issued
from serve_app.control.book import Book, Change, Deed
from serve_app.errors import Conflict, NotFound
from serve_app.tenancy.commands import ChangeKey, MakeKey, RevokeKey, RotateKey
from serve_app.tenancy.roll import Roll


def made(command: MakeKey, issued: Issued, book: Book, declared: Roll) -> Change:
    """A new key.

    Raises:
        NotFound: there is no such tenant.
    """
    must_be_tenant(command.tenant, book, declared)
    return Change((_key_deed(command.actor, "make_key", issued, issued.created),), issued=(issued,))


def rotated(command: RotateKey, issued: Issued, book: Book, declared: Roll, now: int) -> Change:
    """A key in place of another, which goes on for a while.

    Raises:
        NotFound: there is no such key.
        Conflict: it is declared, or not good any more.
    """
    before = good_key(command.id, book, declared, now)
    until = now + command.overlap_s
    ending = replace(
        before, expires=until if before.expires is None else min(before.expires, until)
    )
    deed = _key_deed(command.actor, "rotate_key", before, now, to=issued.id, until=ending.expires)
    return Change((deed,), issued=(ending, issued))


def swept(book: Book, now: int) -> Change | None:
    """Keys that have not been good for long, gone for good."""
    over = tuple(issued for issued in book.issued.values() if issued.is_over(now))
    return Change((), gone_keys=over) if over else None


def change_key(command: ChangeKey, book: Book, declared: Roll, now: int) -> Change | None:
    """Other terms for a key.

    Raises:
        NotFound: there is no such key.
        Conflict: it is declared, or not good any more.
    """
    before = good_key(command.id, book, declared, now)
    after = replace(
        before,
        label=command.label,
        scopes=command.scopes,
        expires=command.expires,
        limits=command.limits,
    )
    if after == before:
        return None
    return Change((_key_deed(command.actor, "change_key", after, now),), issued=(after,))


def revoke(command: RevokeKey, book: Book, declared: Roll, now: int) -> Change | None:
    """A key that opens nothing any more.

    Raises:
        NotFound: there is no such key.
        Conflict: it is declared.
    """
    before = key_of(command.id, book, declared)
    if before.revoked is not None:
        return None
    after = replace(before, revoked=now)
    return Change((_key_deed(command.actor, "revoke_key", after, now),), issued=(after,))


def good_key(id_: str, book: Book, declared: Roll, now: int) -> Issued:
    """The key, if it may still be changed.

    Raises:
        NotFound: there is none.
        Conflict: it is declared, or not good any more.
    """
    issued = key_of(id_, book, declared)
    state = issued.state(now)
    if state != "active":
        raise Conflict(f"The key `{id_}` is {state}.", code=f"key_{state}")
    return issued


def key_of(id_: str, book: Book, declared: Roll) -> Issued:
    """The key that was made while it runs.

    Raises:
        NotFound: there is none.
        Conflict: it is declared.
    """
    if id_ in declared.by_id:
        raise Conflict(
            f"The key `{id_}` is declared in the configuration; change it there.",
            code="key_declared",
        )
    issued = book.issued.get(id_)
    if issued is None:
        raise NotFound(f"There is no key `{id_}`.", code="key_not_found", param="key")
    return issued


def must_be_tenant(id_: str, book: Book, declared: Roll) -> None:
    """Refuse a tenant that is not there.

    Raises:
        NotFound: so.
    """
    if id_ not in book.accounts and id_ not in declared.tenants:
        raise NotFound(f"There is no tenant `{id_}`.", code="tenant_not_found", param="tenant")


def _key_deed(actor: Actor, action: str, issued: Issued, now: int, **detail: Any) -> Deed:
    scopes = sorted(issued.scopes)
    return Deed(now, actor.tenant, action, issued.id, issued.tenant, {"scopes": scopes, **detail})
