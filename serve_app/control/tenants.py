"""How tenants, keys and grants change, decided on the registry as it is. Pure.

What the configuration declares is changed there and nowhere else.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from serve_app.adapters.commands import Actor
from serve_app.adapters.names import NAME_PATTERN, is_name
from serve_app.control.account import Account
from serve_app.control.adapter import Adapter
from serve_app.control.book import Book, Change, Deed
from serve_app.control.issuing import change_key, must_be_tenant, revoke
from serve_app.control.rules import deed_of
from serve_app.errors import AdapterNotFound, Conflict, InvalidRequest
from serve_app.tenancy.commands import (
    ChangeKey,
    PutGrant,
    PutLimits,
    PutTenant,
    RemoveGrant,
    RemoveTenant,
    RevokeKey,
    TenantChange,
)
from serve_app.tenancy.roll import Roll
from serve_app.tenancy.tenant import EVERY_ADAPTER


def decided(command: TenantChange, book: Book, declared: Roll, now: int) -> Change | None:
    """What a command writes; None if there is nothing to change.

    Raises:
        NotFound: there is no such tenant, key or adapter.
        Conflict: the configuration declares it, or it is still needed.
        InvalidRequest: a name is not one.
    """
    match command:
        case PutTenant():
            return _put_tenant(command, book, declared, now)
        case RemoveTenant():
            return _remove_tenant(command, book, declared, now)
        case PutLimits():
            account = _account(command.tenant, book, declared)
            changed = replace(account, limits=command.limits, updated=now)
            limits = command.limits.as_dict()
            deed = tenant_deed(
                command.actor, "put_limits", account.id, account.id, now, limits=limits
            )
            return Change((deed,), accounts=(changed,))
        case ChangeKey():
            return change_key(command, book, declared, now)
        case RevokeKey():
            return revoke(command, book, declared, now)
        case PutGrant() | RemoveGrant():
            return _grant(command, book, declared, now)


def _put_tenant(command: PutTenant, book: Book, declared: Roll, now: int) -> Change | None:
    _must_not_be_declared(command.id, declared)
    _must_be_names("tenant", [command.id])
    _must_be_names("adapters", command.adapters - {EVERY_ADAPTER})
    _must_be_names("default_adapter", filter(None, [command.default_adapter]))
    before = book.accounts.get(command.id)
    account = Account(
        id=command.id,
        created=before.created if before else now,
        updated=now,
        description=command.description,
        adapters=command.adapters,
        default_adapter=command.default_adapter,
        base=command.base,
        enabled=command.enabled,
        weight=command.weight,
        limits=command.limits,
    )
    if before is not None and replace(before, updated=now) == account:
        return None
    action = "change_tenant" if before else "make_tenant"
    detail = {"enabled": account.enabled, "base": account.base, "weight": account.weight}
    deed = tenant_deed(command.actor, action, account.id, account.id, now, **detail)
    return Change((deed,), accounts=(account,))


def _remove_tenant(command: RemoveTenant, book: Book, declared: Roll, now: int) -> Change:
    """With its keys and the grants to it, but not with adapters or experiments."""
    account = _account(command.id, book, declared)
    owned = book.owned_by(account.id)
    if owned:
        raise Conflict(
            f"The tenant `{account.id}` owns adapters: remove them first, or give them to "
            f"another: {_some(owned)}.",
            code="tenant_owns_adapters",
        )
    studies = sorted(study.name for study in book.studies.values() if study.owner == account.id)
    if studies:
        raise Conflict(
            f"The tenant `{account.id}` owns experiments: delete them first: {_some(studies)}.",
            code="tenant_owns_experiments",
        )
    adapters = (
        replace(adapter, grants=adapter.grants - {account.id}, updated=now)
        for adapter in book.adapters.values()
        if account.id in adapter.grants
    )
    keys = (issued for issued in book.issued_to(account.id) if issued.revoked is None)
    deed = tenant_deed(command.actor, "remove_tenant", account.id, account.id, now)
    return Change(
        (deed,),
        tuple(adapters),
        issued=tuple(replace(issued, revoked=now) for issued in keys),
        gone_accounts=(account.id,),
    )


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:5])}{' and more' if len(names) > 5 else ''}"


def _grant(command: PutGrant | RemoveGrant, book: Book, declared: Roll, now: int) -> Change | None:
    adapter = existing(command.adapter, book)
    if isinstance(command, PutGrant):
        must_be_tenant(command.tenant, book, declared)
        action, grants = "grant", adapter.grants | {command.tenant}
    else:
        action, grants = "revoke_grant", adapter.grants - {command.tenant}
    if grants == adapter.grants:
        return None
    after = replace(adapter, grants=grants, updated=now)
    return Change((deed_of(command.actor, action, after, now, tenant=command.tenant),), (after,))


def existing(name: str, book: Book) -> Adapter:
    """The adapter, if it is there or on its way.

    Raises:
        AdapterNotFound: it is not.
    """
    if book.free(name):
        raise AdapterNotFound(name)
    return book.adapters[name]


def _account(id_: str, book: Book, declared: Roll) -> Account:
    _must_not_be_declared(id_, declared)
    must_be_tenant(id_, book, declared)
    return book.accounts[id_]


def _must_not_be_declared(id_: str, declared: Roll) -> None:
    if id_ in declared.tenants:
        raise Conflict(
            f"The tenant `{id_}` is declared in the configuration; change it there.",
            code="tenant_declared",
        )


def _must_be_names(param: str, names: Iterable[str]) -> None:
    for name in names:
        if not is_name(name):
            raise InvalidRequest(f"{param}: a name must match {NAME_PATTERN}.", param=param)


def tenant_deed(
    actor: Actor, action: str, subject: str, owner: str, now: int, **detail: Any
) -> Deed:
    """A line of the audit log about a tenant or something of one."""
    return Deed(now, actor.tenant, action, subject, owner, detail)
