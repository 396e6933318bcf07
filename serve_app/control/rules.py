"""What limits every change, and how a change is noted. Pure."""

from dataclasses import dataclass
from typing import Any

from serve_app.adapters.commands import Actor
from serve_app.control.adapter import Adapter, Keep
from serve_app.control.book import Book, Deed
from serve_app.errors import AdapterConflict


@dataclass(frozen=True, slots=True)
class Rules:
    """What limits changes.

    Attributes:
        base: the base model's public name.
        keep: versions kept to go back to, the one in force included.
        capacity: adapters an engine holds.
    """

    base: str
    keep: int
    capacity: int


def keep_of(adapter: Adapter, book: Book, rules: Rules) -> Keep:
    """Which of its versions go on answering."""
    return Keep(rules.keep, book.arms_of(adapter.name))


def must_leave_room(adapter: Adapter, book: Book, rules: Rules) -> None:
    """Pinned adapters leave an engine room for at least one other.

    Raises:
        AdapterConflict: this one would not.
    """
    if not adapter.pin:
        return
    pinned = book.pinned_beside(adapter.name) + max(1, len(adapter.wanted))
    if pinned > rules.capacity - 1:
        raise AdapterConflict(
            f"{pinned} versions would be pinned; an engine holds {rules.capacity} "
            "(engine.max_cpu_loras), of which one must stay free.",
            code="too_many_pinned",
        )


def deed_of(actor: Actor, action: str, adapter: Adapter, now: int, **detail: Any) -> Deed:
    """A line of the audit log about an adapter."""
    return Deed(now, actor.tenant, action, adapter.name, adapter.owner, detail)
