"""Who may ask: every tenant, and every key."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from serve_app.tenancy.keys import Key
from serve_app.tenancy.tenant import Tenant


@dataclass(frozen=True)
class Roll:
    """Tenants by id, and their keys by fingerprint.

    Attributes:
        labels: what keys are for, by their ids, where that is said.
    """

    tenants: Mapping[str, Tenant] = field(default_factory=dict)
    keys: Mapping[bytes, Key] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Key]:
        """Keys by their public ids."""
        return {key.id: key for key in self.keys.values()}
