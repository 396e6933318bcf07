"""Tenants and keys as the registry keeps them. Pure."""

from dataclasses import dataclass

from serve_app.tenancy.keys import Key, Scope, cache_salt
from serve_app.tenancy.limits import UNLIMITED, Limits
from serve_app.tenancy.tenant import Tenant

KEPT_S = 30 * 86_400
"""A key that is not good any more is listed for so long."""


@dataclass(frozen=True, slots=True)
class Account:
    """A tenant made while it runs: as ``tenancy.tenant.Tenant``, with times in unix seconds."""

    id: str
    created: int
    updated: int
    description: str = ""
    adapters: frozenset[str] = frozenset()
    default_adapter: str | None = None
    base: bool = False
    enabled: bool = True
    weight: float = 1.0
    limits: Limits = UNLIMITED

    def tenant(self, pepper: bytes) -> Tenant:
        """As gateways know it."""
        default = {self.default_adapter} if self.default_adapter else set()
        return Tenant(
            self.id,
            self.adapters | default,
            self.default_adapter,
            self.base,
            cache_salt(self.id, pepper),
            self.enabled,
            self.limits,
            self.weight,
        )


@dataclass(frozen=True, slots=True)
class Issued:
    """A key that was made while it runs. Times are unix seconds.

    Attributes:
        fingerprint: what is kept in place of the key.
        rotated_from: id of the key it takes the place of.
    """

    id: str
    tenant: str
    fingerprint: bytes
    created: int
    created_by: str
    label: str = ""
    scopes: frozenset[Scope] = frozenset({Scope.INFERENCE})
    expires: int | None = None
    limits: Limits = UNLIMITED
    revoked: int | None = None
    rotated_from: str | None = None
    last_used: int | None = None

    def key(self) -> Key | None:
        """As gateways know it; None once it is revoked."""
        if self.revoked is not None:
            return None
        return Key(self.id, self.tenant, self.scopes, self.expires, self.limits)

    def state(self, now: int) -> str:
        """``active``, ``expired`` or ``revoked``."""
        if self.revoked is not None:
            return "revoked"
        return "expired" if self.expires is not None and self.expires <= now else "active"

    def is_over(self, now: int) -> bool:
        """Whether it has not been good for so long that it need not be listed."""
        ended = self.revoked if self.revoked is not None else self.expires
        return ended is not None and ended + KEPT_S <= now
