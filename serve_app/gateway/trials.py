"""Experiments as requests name them. Immutable: made anew when one changes, not at each request."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from serve_app.adapters.names import asked_adapter
from serve_app.experiments.assignment import Assignment
from serve_app.experiments.experiment import Experiment
from serve_app.tenancy.tenant import EVERY_ADAPTER, Tenant


@dataclass(frozen=True, slots=True)
class Trials:
    """Every experiment by name, ready to assign."""

    assignments: Mapping[str, Assignment] = field(default_factory=dict)

    def changed(self, changes: Mapping[str, Experiment | None]) -> "Trials":
        """With these experiments in place of those of the same names; None takes one out."""
        if not changes:
            return self
        kept = {name: one for name, one in self.assignments.items() if name not in changes}
        return Trials(kept | {name: Assignment(one) for name, one in changes.items() if one})

    def find(self, tenant: Tenant, model: str | None, base: str) -> Assignment | None:
        """The experiment that ``model``, or else the tenant's default adapter, names; None if that
        is none of which the tenant knows."""
        if not self.assignments:
            return None
        name = asked_adapter(model or "", base) or tenant.default_adapter
        found = self.assignments.get(name) if name else None
        return found if found is not None and _may_use(tenant, found.experiment) else None

    def visible_to(self, tenant: Tenant) -> list[Experiment]:
        """All that the tenant may name, by name."""
        of = (one.experiment for _, one in sorted(self.assignments.items()))
        return [experiment for experiment in of if experiment.owner == tenant.id]


def _may_use(tenant: Tenant, experiment: Experiment) -> bool:
    return experiment.owner == tenant.id or EVERY_ADAPTER in tenant.adapters
