"""What the configuration declares: its tenants as gateways know them, its adapters as they differ
from what was declared before. Plain keys end here."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from serve_app.adapters.commands import Actor, Register
from serve_app.adapters.names import asked_adapter
from serve_app.adapters.version import FILES
from serve_app.control.adapter import Adapter, Terms, claimed, on_terms, removed
from serve_app.control.book import Book, Change, Deed
from serve_app.control.registration import Declared, Registration, Step, shown_source
from serve_app.directory import AdapterSettings, Directory, KeySettings, TenantSettings
from serve_app.errors import ConfigError
from serve_app.tenancy.keys import Key, Scope, cache_salt, fingerprint
from serve_app.tenancy.limits import Limits
from serve_app.tenancy.roll import Roll
from serve_app.tenancy.tenant import Tenant

CONFIGURATION = Actor("configuration", admin=True)


def roll_of(directory: Directory, pepper: bytes) -> Roll:
    """Everybody who is declared, with keys as fingerprints.

    A key's id comes of the key and the pepper alone: it stays when its terms change, or its place.
    """
    keys: dict[bytes, Key] = {}
    labels: dict[str, str] = {}
    for tenant in directory.tenants:
        for declared in tenant.keys:
            print_ = fingerprint(declared.key.get_secret_value(), pepper)
            key = keys[print_] = _key(f"declared-{print_.hex()[:12]}", declared, tenant)
            labels[key.id] = declared.label
    return Roll({one.id: _tenant(one, pepper) for one in directory.tenants}, keys, labels)


def _key(id_: str, declared: KeySettings, tenant: TenantSettings) -> Key:
    ends = declared.expires_at
    return Key(
        id_,
        tenant.id,
        _scopes(tenant) if declared.scopes is None else frozenset(map(Scope, declared.scopes)),
        None if ends is None else int(ends.timestamp()),
        Limits(**declared.limits.model_dump()),
    )


def _scopes(declared: TenantSettings) -> frozenset[Scope]:
    scopes = {Scope.INFERENCE, Scope.USAGE_READ}
    if declared.manages_adapters:
        scopes.add(Scope.ADAPTERS_MANAGE)
    if declared.admin:
        scopes.add(Scope.ADMIN)
    return frozenset(scopes)


def _tenant(declared: TenantSettings, pepper: bytes) -> Tenant:
    default = {declared.default_adapter} if declared.default_adapter else set()
    return Tenant(
        id=declared.id,
        adapters=frozenset(declared.adapters) | default,
        default_adapter=declared.default_adapter,
        base=declared.base,
        cache_salt=cache_salt(declared.id, pepper),
        enabled=declared.enabled,
        limits=Limits(**declared.limits.model_dump()),
        weight=declared.weight,
    )


def must_be_nameable(adapters: list[AdapterSettings], base: str) -> None:
    """Refuse adapters that no client could name.

    Raises:
        ConfigError: naming each.
    """
    wrong = [a.name for a in adapters if asked_adapter(a.name, base) != a.name]
    if wrong:
        raise ConfigError(
            "user_config.adapters: these names mean the base model; name the adapters otherwise: "
            + ", ".join(wrong)
        )


def declarations(adapters: list[AdapterSettings]) -> dict[str, Declared]:
    """What each declared adapter looks like now. Asks the disk: not for the event loop."""
    return {a.name: Declared(_stamp(a.path), _terms(a)) for a in adapters}


def _stamp(path: str) -> str:
    if "://" in path:
        return path
    return json.dumps([path, *(_seen(Path(path) / name) for name in FILES)])


def _seen(file: Path) -> list[int] | None:
    try:
        info = file.stat()
    except OSError:
        return None
    return [info.st_mtime_ns, info.st_size]


def _terms(adapter: AdapterSettings) -> str:
    return json.dumps([adapter.owner, sorted(adapter.grants), adapter.preload, adapter.pin])


def redeclared(
    book: Book,
    adapters: list[AdapterSettings],
    declared: Mapping[str, Declared],
    revision: int,
    now: int,
) -> Change:
    """The change from what was declared to what is: new content is on its way, other terms are in
    force, and what is declared no more is removed."""
    gone = [a for name, a in book.adapters.items() if a.declared and name not in declared]
    news = [a for a in adapters if _must_come(book, a, declared[a.name])]
    known = {a.name for a in adapters} - {a.name for a in news}
    kept = [a for a in adapters if a.name in known and _has_other_terms(book, a, declared[a.name])]
    first = book.last_registration + 1
    deeds = [_deed("remove", a.name, a.owner, now) for a in gone]
    deeds += [_deed("declare", a.name, a.owner, now, source=shown_source(a.path)) for a in news]
    deeds += [_deed("declare_terms", a.name, a.owner, now) for a in kept]
    ends = [_given_up(r, now) for a in gone for r in book.waiting(a.name)]
    return Change(
        (Deed(now, CONFIGURATION.tenant, "configure", "", None), *deeds),
        (
            *(removed(a, revision, now) for a in gone),
            *(_claimed(book, a, now) for a in news),
            *(_on_terms(book.adapters[a.name], a, declared[a.name]) for a in kept),
        ),
        (*ends, *(_attempt(n, a, declared[a.name], now) for n, a in enumerate(news, first))),
    )


def _must_come(book: Book, adapter: AdapterSettings, declared: Declared) -> bool:
    """Whether it is to be registered: neither in force nor on its way like this, or pinned anew,
    for which there may be no room."""
    known = book.adapters.get(adapter.name)
    coming = _coming(book, adapter.name)
    if coming is not None:
        return coming != declared
    if known is None or known.stamp != declared.stamp:
        return True
    return adapter.pin and known.terms != declared.terms and not known.pin


def _coming(book: Book, name: str) -> Declared | None:
    """The declaration that is on its way."""
    return next((r.declared for r in reversed(book.waiting(name)) if r.declared), None)


def _has_other_terms(book: Book, adapter: AdapterSettings, declared: Declared) -> bool:
    if _coming(book, adapter.name) is not None:
        return False
    return book.adapters[adapter.name].terms != declared.terms


def _claimed(book: Book, adapter: AdapterSettings, now: int) -> Adapter:
    before = book.adapters.get(adapter.name)
    free = book.free(adapter.name)
    return claimed(before, adapter.name, adapter.owner, now, free=free, declared=True)


def _on_terms(before: Adapter, adapter: AdapterSettings, declared: Declared) -> Adapter:
    terms = Terms(frozenset(adapter.grants), preload=adapter.preload, pin=adapter.pin)
    return replace(on_terms(before, terms), owner=adapter.owner, terms=declared.terms)


def _attempt(number: int, adapter: AdapterSettings, declared: Declared, now: int) -> Registration:
    command = Register(
        CONFIGURATION,
        adapter.name,
        _source(adapter.path),
        owner=adapter.owner,
        grants=frozenset(adapter.grants),
        preload=adapter.preload,
        pin=adapter.pin,
        wait=False,
    )
    return Registration(number, command, Step.REGISTERED, now, declared)


def _source(path: str) -> str:
    """A path as it is from the directory the configuration is served in."""
    return path if "://" in path else str(Path(path).absolute())


def _given_up(registration: Registration, now: int) -> Registration:
    return replace(
        registration,
        step=Step.FAILED,
        ended=now,
        code="adapter_removed",
        message="It is not declared any more.",
    )


def _deed(action: str, name: str, owner: str | None, now: int, **detail: str) -> Deed:
    return Deed(now, CONFIGURATION.tenant, action, name, owner, detail)
