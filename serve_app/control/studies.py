"""How experiments begin, change and end, decided on the registry as it is. Pure."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from serve_app.adapters.catalog import Catalog
from serve_app.adapters.commands import Actor
from serve_app.adapters.names import NAME_PATTERN, asked_adapter, is_name
from serve_app.control.adapter import Adapter, with_alias, without_alias
from serve_app.control.book import Book, Change, Deed
from serve_app.control.permissions import (
    managed,
    may_manage,
    must_be_free,
    must_name_an_adapter,
    taken,
)
from serve_app.control.rules import Rules, must_have_room_for_an_experiment, must_leave_room
from serve_app.control.study import Study
from serve_app.errors import Conflict, InvalidRequest, ModelNotFound, NotFound, PermissionDenied
from serve_app.experiments import commands
from serve_app.experiments.commands import Create, Delete, Pause, Promote, Ramp, Reweigh, Start
from serve_app.experiments.experiment import Arm, Experiment, State
from serve_app.tenancy.tenant import Tenant


def created(
    command: Create,
    book: Book,
    rules: Rules,
    tenant: Callable[[str], Tenant | None],
    salt: str,
    now: int,
) -> Change:
    """The experiment, whose arms are versions from here on.

    Args:
        tenant: finds one by id.
        salt: makes its assignment unlike that of any other.

    Raises:
        PermissionDenied: the actor may manage no experiments, or none for this owner.
        InvalidRequest: a name is none, or the arms make no experiment.
        ModelNotFound: an arm's model is not the owner's to use.
        AdapterConflict: the name is taken.
        Conflict: the owner has as many as it may.
    """
    owner = _owner(command, tenant)
    must_name_an_adapter(command.name, rules.base, "name")
    must_be_free(command.name, "", book)
    must_have_room_for_an_experiment(owner.id, book, rules)
    if not all(is_name(arm.name) for arm in command.arms):
        raise InvalidRequest(f"arms: a name must match {NAME_PATTERN}.", param="arms")
    arms = tuple(
        replace(arm, model=version_of(arm.model, owner, book, rules.base)) for arm in command.arms
    )
    experiment = Experiment(command.name, salt, arms, owner=owner.id)
    terms = command.goal, command.min_effect, command.description
    begun = experiment.started() if command.start else experiment
    study = Study(experiment, now, now, *terms).with_(begun, now)
    deed = _deed(command.actor, "create_experiment", study, now, arms=[a.model for a in arms])
    return Change((deed,), studies=(study,))


def changed(command: commands.Change, book: Book, now: int) -> Change | None:
    """What a command makes of an experiment; None if it is so already.

    Raises:
        NotFound: there is none, or it is not the actor's to see.
        PermissionDenied: it is not the actor's to change.
        InvalidRequest: there is no such arm, or the weights make no experiment.
        Conflict: it has not come so far, or too far.
    """
    study = managed_study(command.actor, book, command.name)
    after = _after(command, study.experiment)
    if after == study.experiment:
        return None
    detail = {"weights": list(after.weights)} if after.epoch > study.experiment.epoch else {}
    action = f"{type(command).__name__.lower()}_experiment"
    deed = _deed(command.actor, action, study, now, **detail)
    return Change((deed,), studies=(study.with_(after, now),))


def promoted(
    command: Promote, arm: str, salt: str, book: Book, rules: Rules, revision: int, now: int
) -> Change | None:
    """The experiment ended with a winner, which the alias means from now on.

    Args:
        arm: that of the experiment of this salt which was found to win.

    Raises:
        As ``changed``, and
        Conflict: the name is another experiment's by now.
        AdapterConflict: the alias is taken, or there is no room to pin it.
    """
    study = managed_study(command.actor, book, command.name)
    if study.experiment.salt != salt:
        raise Conflict(
            f"The experiment `{study.name}` was made anew meanwhile.", code="experiment_conflict"
        )
    after = study.experiment.stopped(arm)
    adapters: tuple[Adapter, ...] = ()
    if command.alias is not None:
        adapters = _aliased(command, after.arm(arm), book, rules, revision, now)
    if after == study.experiment and not adapters:
        return None
    deed = _deed(command.actor, "promote", study, now, arm=arm, alias=command.alias)
    return Change((deed,), adapters, studies=(study.with_(after, now),))


def deleted(command: Delete, book: Book, now: int) -> Change:
    """The experiment gone.

    Raises:
        NotFound, PermissionDenied: as ``changed``.
    """
    study = managed_study(command.actor, book, command.name)
    deed = _deed(command.actor, "delete_experiment", study, now)
    return Change((deed,), gone_studies=(study,))


def seen_study(actor: Actor, book: Book, name: str) -> Study:
    """The experiment, for one who may see it.

    Raises:
        NotFound: there is none, or the actor may not see it, which look the same.
    """
    study = book.studies.get(name)
    if study is None or not may_see_study(actor, study):
        raise NotFound(
            f"The experiment `{name}` does not exist or you do not have access to it.",
            param="experiment",
            code="experiment_not_found",
        )
    return study


def may_see_study(actor: Actor, study: Study) -> bool:
    """Tenants see their own."""
    return actor.admin or study.owner == actor.tenant


def managed_study(actor: Actor, book: Book, name: str) -> Study:
    """The experiment, for one who may change it.

    Raises:
        NotFound, PermissionDenied: so.
    """
    study = seen_study(actor, book, name)
    if not (actor.admin or actor.manages):
        raise PermissionDenied("This key may not manage experiments.")
    return study


def version_of(model: str, tenant: Tenant, book: Book, base: str) -> str:
    """The version that ``model`` means now, as ``adapter@v2``, or the base's name.

    Raises:
        ModelNotFound: it means nothing that the tenant may use.
    """
    asked = asked_adapter(model, base)
    if asked is None:
        if not tenant.base:
            raise ModelNotFound(model)
        return base
    adapter = book.adapters.get(book.aliases.get(asked, asked.partition("@")[0]))
    entry = adapter.entry() if adapter else None
    found = Catalog.of({entry.name: entry}).find(asked) if entry else None
    if found is None or not tenant.may_use(found[0]):
        raise ModelNotFound(model)
    return f"{found[0].name}@v{found[1].number}"


def _owner(command: Create, tenant: Callable[[str], Tenant | None]) -> Tenant:
    actor = command.actor
    if not (actor.admin or actor.manages):
        raise PermissionDenied("This key may not manage experiments.")
    id_ = command.owner or actor.tenant
    if id_ != actor.tenant and not actor.admin:
        raise PermissionDenied("Only an admin may experiment for another tenant.", param="owner")
    owner = tenant(id_)
    if owner is None:
        raise InvalidRequest(f"owner: there is no tenant {id_!r}.", param="owner")
    return owner


def _after(command: commands.Change, experiment: Experiment) -> Experiment:
    match command:
        case Start():
            return experiment.started()
        case Pause():
            return experiment if experiment.state is State.PAUSED else experiment.paused()
        case Reweigh():
            return experiment.reweighted(command.weights)
        case Ramp():
            return experiment.ramped(command.arm, command.share)
        case commands.Stop():
            return experiment.stopped(command.winner)


def _aliased(
    command: Promote, arm: Arm, book: Book, rules: Rules, revision: int, now: int
) -> tuple[Adapter, ...]:
    """What changes when the alias means the arm's version: another adapter may have it so far."""
    alias, (name, at, version) = command.alias or "", arm.model.partition("@v")
    if not at:
        raise InvalidRequest("alias: the base has no aliases.", param="alias")
    adapter = managed(command.actor, book.adapters.get(name), name)
    must_name_an_adapter(alias, rules.base, "alias")
    holder = book.aliases.get(alias)
    if holder is None:
        must_be_free(alias, name, book)
    if alias == name:
        raise taken(alias)
    others: tuple[Adapter, ...] = ()
    if holder not in (None, name):
        other = book.adapters[str(holder)]
        if not may_manage(command.actor, other):
            raise taken(alias)
        keep = rules.keeping(other.name, book)
        others = (without_alias(replace(other, updated=now), alias, keep, revision),)
    entry, number = adapter.entry(), int(version)
    if entry is None or number not in entry.versions:
        raise ModelNotFound(arm.model)
    if adapter.aliases.get(alias) == number:
        return ()
    after = with_alias(
        replace(adapter, updated=now), alias, number, rules.keeping(name, book), revision
    )
    must_leave_room(after, book, rules)
    return (*others, after)


def _deed(actor: Actor, action: str, study: Study, now: int, **detail: Any) -> Deed:
    return Deed(now, actor.tenant, action, study.name, study.owner, detail)
