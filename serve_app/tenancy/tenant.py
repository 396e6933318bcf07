"""A tenant: who it is, which adapters it may use, and how much of the fleet."""

from dataclasses import dataclass

from serve_app.adapters.catalog import Entry
from serve_app.tenancy.limits import UNLIMITED, Limits

EVERY_ADAPTER = "*"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The unit of isolation.

    Attributes:
        id: the tenant's name.
        adapters: names its declaration lets it use; ``*`` grants all.
        default_adapter: answers when the request names no adapter.
        base: whether the bare base model may answer.
        cache_salt: keeps its prefix cache apart from every other tenant's.
        enabled: a tenant that is not is refused whatever it asks.
        limits: of all its keys together.
        weight: its share of a saturated fleet, relative to other tenants'.
    """

    id: str
    adapters: frozenset[str]
    default_adapter: str | None
    base: bool
    cache_salt: str
    enabled: bool = True
    limits: Limits = UNLIMITED
    weight: float = 1.0

    def may_use(self, adapter: Entry) -> bool:
        """Whether it was granted the adapter, here or there, or owns it."""
        return (
            adapter.name in self.adapters
            or EVERY_ADAPTER in self.adapters
            or adapter.owner == self.id
            or self.id in adapter.grants
        )
