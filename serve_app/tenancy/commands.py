"""What may be done to tenants, keys and grants, as gateways ask control for it. All of it is an
admin's. Plain data, pickled by Ray."""

from dataclasses import dataclass

from serve_app.adapters.commands import Actor
from serve_app.tenancy.keys import Scope
from serve_app.tenancy.limits import UNLIMITED, Limits


@dataclass(frozen=True, slots=True)
class PutTenant:
    """Make a tenant, or make one what this says, whole. As ``tenancy.tenant.Tenant``."""

    actor: Actor
    id: str
    description: str = ""
    adapters: frozenset[str] = frozenset()
    default_adapter: str | None = None
    base: bool = False
    enabled: bool = True
    weight: float = 1.0
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class RemoveTenant:
    """Take a tenant away, with its keys and the grants to it."""

    actor: Actor
    id: str


@dataclass(frozen=True, slots=True)
class ShowTenant:
    actor: Actor
    id: str


@dataclass(frozen=True, slots=True)
class ListTenants:
    """A page of tenants by id, those after the id ``after``."""

    actor: Actor
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class PutLimits:
    """Put these limits in place of all that a tenant has."""

    actor: Actor
    tenant: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class ShowLimits:
    actor: Actor
    tenant: str


@dataclass(frozen=True, slots=True)
class MakeKey:
    """A new key, which the answer shows this once.

    Attributes:
        expires_in_s: seconds from now; None if it never expires.
    """

    actor: Actor
    tenant: str
    label: str = ""
    scopes: frozenset[Scope] = frozenset({Scope.INFERENCE})
    expires_in_s: int | None = None
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class ChangeKey:
    """Make what is said of a key this, whole. ``expires`` is unix time in seconds."""

    actor: Actor
    id: str
    label: str = ""
    scopes: frozenset[Scope] = frozenset({Scope.INFERENCE})
    expires: int | None = None
    limits: Limits = UNLIMITED


@dataclass(frozen=True, slots=True)
class RotateKey:
    """A new key like this one, which goes on for ``overlap_s`` seconds."""

    actor: Actor
    id: str
    overlap_s: int = 86_400


@dataclass(frozen=True, slots=True)
class RevokeKey:
    """Doing it again changes nothing."""

    actor: Actor
    id: str


@dataclass(frozen=True, slots=True)
class ShowKey:
    actor: Actor
    id: str


@dataclass(frozen=True, slots=True)
class ListKeys:
    """A page of keys by id, of one tenant or of all."""

    actor: Actor
    tenant: str | None = None
    limit: int = 100
    after: str | None = None


@dataclass(frozen=True, slots=True)
class PutGrant:
    """Let a tenant use another one's adapter. Doing it again changes nothing."""

    actor: Actor
    adapter: str
    tenant: str


@dataclass(frozen=True, slots=True)
class RemoveGrant:
    actor: Actor
    adapter: str
    tenant: str


@dataclass(frozen=True, slots=True)
class ListGrants:
    """A page of grants, of one adapter or to one tenant or of all; ``after`` is an id."""

    actor: Actor
    adapter: str | None = None
    tenant: str | None = None
    limit: int = 100
    after: str | None = None


TenantQuestion = ShowTenant | ListTenants | ShowLimits | ShowKey | ListKeys | ListGrants
TenantChange = PutTenant | RemoveTenant | PutLimits | ChangeKey | RevokeKey | PutGrant | RemoveGrant
KeyMaking = MakeKey | RotateKey
TenantCommand = TenantQuestion | TenantChange | KeyMaking
