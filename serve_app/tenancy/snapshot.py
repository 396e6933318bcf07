"""An immutable picture of tenants and adapters, from which every request is resolved."""

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.names import asked_adapter, public_name
from serve_app.adapters.version import Version
from serve_app.errors import InvalidApiKey, ModelNotFound, NoAdapterConfigured
from serve_app.tenancy.keys import Keyring
from serve_app.tenancy.tenant import Tenant

BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Target:
    """What ``model`` resolved to: one version of an adapter, or the base (``version`` None).

    Attributes:
        created: unix time in seconds at which its adapter was first registered.
    """

    model: str
    version: Version | None
    created: int = 0

    @property
    def adapter(self) -> str | None:
        return self.version.adapter if self.version else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the request path needs to know; replaced whole, never changed.

    Attributes:
        base: the base model's public name.
        tenants: by id.
        catalog: every adapter that may be named.
    """

    base: str
    keyring: Keyring
    tenants: Mapping[str, Tenant]
    catalog: Catalog

    def authenticate(self, authorization: str | None) -> Tenant:
        """The tenant that holds the bearer key.

        Raises:
            InvalidApiKey: missing, malformed or unknown.
        """
        if authorization is None or authorization[: len(BEARER)].lower() != BEARER:
            raise InvalidApiKey("You did not provide an API key: send Authorization: Bearer KEY.")
        tenant = self.keyring.tenant_of(authorization[len(BEARER) :].strip())
        if tenant is None:
            raise InvalidApiKey("Incorrect API key provided.")
        return self.tenants[tenant]

    def resolve(self, tenant: Tenant, model: str | None) -> Target:
        """Which version, or the base, answers ``model`` for this tenant.

        Raises:
            ModelNotFound: unknown or not granted, which look the same.
            NoAdapterConfigured: nothing was named and there is nothing to fall back to.
        """
        adapter = asked_adapter(model or "", self.base)
        if adapter is None:
            adapter = tenant.default_adapter
        if adapter is None:
            return self._base(tenant, model)
        found = self.catalog.find(adapter)
        if found is None or not tenant.may_use(found[0]):
            raise ModelNotFound(model or adapter)
        return self._target(*found)

    def visible_to(self, tenant: Tenant) -> list[Target]:
        """Everything the tenant may name: the base first if granted, then adapters by name."""
        base = [Target(self.base, None)] if tenant.base else []
        entries = self.catalog.entries
        names = sorted(name for name, entry in entries.items() if tenant.may_use(entry))
        return base + [self._target(entries[name], entries[name].version) for name in names]

    def _target(self, entry: Entry, version: Version) -> Target:
        return Target(public_name(self.base, entry.name), version, entry.created)

    def _base(self, tenant: Tenant, model: str | None) -> Target:
        if tenant.base:
            return Target(self.base, None)
        raise ModelNotFound(model) if model else NoAdapterConfigured()
