"""Who may see and who may change an adapter. Pure.

What a caller may not see answers exactly as what does not exist.
"""

from collections.abc import Iterable

from serve_app.adapters.catalog import Entry
from serve_app.adapters.commands import Actor, Register
from serve_app.adapters.names import NAME_PATTERN, asked_adapter, is_name
from serve_app.control.adapter import Adapter
from serve_app.control.book import Book
from serve_app.errors import AdapterConflict, AdapterNotFound, InvalidRequest, PermissionDenied

EVERY_ADAPTER = "*"


def may_manage(actor: Actor, adapter: Adapter) -> bool:
    """Whether it is the actor's to change."""
    return actor.admin or (actor.manages and adapter.owner == actor.tenant)


def may_see_all(actor: Actor, adapter: Adapter) -> bool:
    """Whether sources, failures and other tenants' grants are the actor's to see."""
    return actor.admin or adapter.owner == actor.tenant


def may_see(actor: Actor, adapter: Adapter) -> bool:
    """Whether the actor may know of it. What does not answer is its owner's affair alone."""
    if may_see_all(actor, adapter):
        return True
    entry = adapter.entry()
    return entry is not None and may_use(actor, entry)


def may_use(actor: Actor, entry: Entry) -> bool:
    """Whether requests of the actor's may be answered with it."""
    declared = not actor.may_use.isdisjoint({entry.name, EVERY_ADAPTER})
    return declared or actor.tenant == entry.owner or actor.tenant in entry.grants


def seen(actor: Actor, adapter: Adapter | None, name: str) -> Adapter:
    """The adapter, for one who may see it.

    Raises:
        AdapterNotFound: there is none, or the actor may not see it.
    """
    if adapter is None or not may_see(actor, adapter):
        raise AdapterNotFound(name)
    return adapter


def managed(actor: Actor, adapter: Adapter | None, name: str) -> Adapter:
    """The adapter, for one who may change it.

    Raises:
        AdapterNotFound: there is none, or the actor may not see it.
        PermissionDenied: the actor may see it, but not change it.
    """
    _must_manage(actor)
    adapter = seen(actor, adapter, name)
    if not may_manage(actor, adapter):
        raise PermissionDenied("This adapter is another tenant's to manage.")
    return adapter


def registering(command: Register, book: Book, base: str) -> str | None:
    """The owner the adapter would have, if the actor may register it.

    Raises:
        PermissionDenied: it may not, or not on these terms.
        InvalidRequest: a name is not one.
        AdapterConflict: the name is taken.
    """
    actor = command.actor
    _must_manage(actor)
    must_name_an_adapter(command.name, base, "lora_name")
    _must_be_names("grants", command.grants or ())
    _must_be_names("owner", [command.owner] if command.owner else ())
    adapter = None if book.free(command.name) else book.adapters[command.name]
    must_be_free(command.name, command.name, book)
    if adapter is not None and not may_manage(actor, adapter):
        raise taken(command.name)
    if not actor.admin:
        _must_be_its_own(command, adapter)
        return actor.tenant
    if command.owner is not None or adapter is None:
        return command.owner
    return adapter.owner


def must_name_an_adapter(name: str, base: str, param: str) -> None:
    """Refuse what is no name, or one by which clients mean the base.

    Raises:
        InvalidRequest: so.
    """
    if not is_name(name):
        raise InvalidRequest(f"{param}: a name must match {NAME_PATTERN}.", param=param)
    if asked_adapter(name, base) != name:
        raise InvalidRequest(f"{param}: {name!r} means the base model.", param=param)


def must_be_free(name: str, adapter: str, book: Book) -> None:
    """Refuse a name that something else than ``adapter`` has: an alias, an experiment, or another
    adapter.

    Raises:
        AdapterConflict: so.
    """
    behind = book.aliases.get(name)
    if behind is not None and (behind != adapter or name == adapter):
        raise taken(name)
    if name in book.studies or (name != adapter and not book.free(name)):
        raise taken(name)


def taken(name: str) -> AdapterConflict:
    return AdapterConflict(f"The name `{name}` is taken.", code="adapter_name_taken")


def _must_manage(actor: Actor) -> None:
    if not (actor.admin or actor.manages):
        raise PermissionDenied("This key may not manage adapters.")


def _must_be_its_own(command: Register, adapter: Adapter | None) -> None:
    """A tenant registers for itself, and takes no room of every replica for granted."""
    if command.owner not in (None, command.actor.tenant):
        raise PermissionDenied("Only an admin may register for another tenant.", param="owner")
    for term in ("preload", "pin"):
        wish = getattr(command, term)
        if wish is not None and wish != bool(adapter and getattr(adapter, term)):
            raise PermissionDenied(f"Only an admin may change {term}.", param=term)


def _must_be_names(param: str, names: Iterable[str]) -> None:
    for name in names:
        if not is_name(name):
            raise InvalidRequest(f"{param}: a tenant must match {NAME_PATTERN}.", param=param)
