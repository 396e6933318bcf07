"""An immutable picture of tenants and adapters, from which every request is resolved."""

from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.adapters.catalog import Catalog, Entry
from serve_app.adapters.names import asked_adapter, public_name
from serve_app.adapters.version import Version
from serve_app.errors import (
    InvalidApiKey,
    ModelNotFound,
    NoAdapterConfigured,
    PermissionDenied,
    TenantDisabled,
)
from serve_app.tenancy.keys import Key, Keyring, Scope
from serve_app.tenancy.tenant import Tenant

BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Identity:
    """Who asks: a tenant, by one of its keys."""

    tenant: Tenant
    key: Key

    def must(self, *scopes: Scope) -> None:
        """Refuse a key that has none of ``scopes``.

        Raises:
            PermissionDenied: so.
        """
        if not any(map(self.key.allows, scopes)):
            needed = " or ".join(f"`{scope}`" for scope in scopes)
            raise PermissionDenied(f"This key has not the scope {needed}.")


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

    def authenticate(self, authorization: str | None, now: float) -> Identity:
        """Who holds the bearer key.

        Args:
            now: unix time in seconds.

        Raises:
            InvalidApiKey: missing or malformed; or unknown, revoked or expired, which look the
                same and take the same time.
            TenantDisabled: its tenant is.
        """
        if authorization is None or authorization[: len(BEARER)].lower() != BEARER:
            raise InvalidApiKey("You did not provide an API key: send Authorization: Bearer KEY.")
        key = self.keyring.find(authorization[len(BEARER) :].strip())
        tenant = self.tenants.get(key.tenant) if key is not None else None
        if key is None or tenant is None or key.is_over(now):
            raise InvalidApiKey("Incorrect API key provided.")
        if not tenant.enabled:
            raise TenantDisabled
        return Identity(tenant, key)

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

    def resolve_arm(self, tenant: Tenant, model: str) -> Target:
        """As ``resolve``, but the base is the base: a default has no part in what is compared."""
        return self._base(tenant, model) if model == self.base else self.resolve(tenant, model)

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
