"""What limits every change, and how a change is noted. Pure."""

from dataclasses import dataclass
from typing import Any

from serve_app.adapters.commands import Actor
from serve_app.control.adapter import Adapter, Keep
from serve_app.control.book import Book, Deed
from serve_app.errors import AdapterConflict, Conflict
from serve_app.experiments.experiment import State


@dataclass(frozen=True, slots=True)
class Rules:
    """What limits changes.

    Attributes:
        base: the base model's public name.
        keep: versions kept to go back to, the one in force included.
        capacity: adapters an engine holds.
        experiments: that a tenant may have, not counting those that are stopped.
    """

    base: str
    keep: int
    capacity: int
    experiments: int

    def keeping(self, name: str, book: Book) -> Keep:
        """Which versions of an adapter go on answering."""
        return Keep(self.keep, book.held(name))


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


def must_have_room_for_an_experiment(owner: str, book: Book, rules: Rules) -> None:
    """A tenant has so many experiments at a time.

    Raises:
        Conflict: this one would be one more.
    """
    theirs = (study.experiment for study in book.studies.values() if study.owner == owner)
    held = sum(one.state is not State.STOPPED for one in theirs)
    if held >= rules.experiments:
        raise Conflict(
            f"The tenant `{owner}` has {held} experiments that are not stopped, and may have "
            f"{rules.experiments} (registry.max_experiments): stop one, or delete it, first.",
            code="too_many_experiments",
        )


def deed_of(actor: Actor, action: str, adapter: Adapter, now: int, **detail: Any) -> Deed:
    """A line of the audit log about an adapter."""
    return Deed(now, actor.tenant, action, adapter.name, adapter.owner, detail)
