"""A tenant: who it is and which adapters it may use."""

from dataclasses import dataclass

from serve_app.adapters.catalog import Entry

EVERY_ADAPTER = "*"


@dataclass(frozen=True, slots=True)
class Tenant:
    """The unit of isolation.

    Attributes:
        id: the tenant's name.
        adapters: names its declaration lets it use; ``*`` grants all.
        default_adapter: answers when the request names no adapter.
        base: whether the bare base model may answer.
        admin: whether it may use the admin routes.
        manages_adapters: whether it may register and remove adapters of its own.
        cache_salt: keeps its prefix cache apart from every other tenant's.
    """

    id: str
    adapters: frozenset[str]
    default_adapter: str | None
    base: bool
    admin: bool
    cache_salt: str
    manages_adapters: bool = False

    def may_use(self, adapter: Entry) -> bool:
        """Whether it was granted the adapter, here or there, or owns it."""
        return (
            adapter.name in self.adapters
            or EVERY_ADAPTER in self.adapters
            or adapter.owner == self.id
            or self.id in adapter.grants
        )
