"""Tenants, keys, grants and limits as JSON objects. Pure. Never a key or its fingerprint."""

from typing import Any

from serve_app.control.account import Account, Issued
from serve_app.tenancy.allot import LIMITS
from serve_app.tenancy.keys import Key
from serve_app.tenancy.tenant import Tenant

Json = dict[str, Any]


def tenant_record(tenant: Tenant, account: Account | None, keys: int) -> Json:
    """One tenant; ``account`` is None if it is declared.

    Args:
        keys: how many good ones it has.
    """
    return {
        "id": tenant.id,
        "object": "tenant",
        "description": account.description if account else "",
        "adapters": sorted(tenant.adapters),
        "default_adapter": tenant.default_adapter,
        "base": tenant.base,
        "enabled": tenant.enabled,
        "weight": tenant.weight,
        "limits": tenant.limits.as_dict(),
        "keys": keys,
        "declared": account is None,
        "created": account.created if account else None,
        "updated": account.updated if account else None,
    }


def key_record(issued: Issued, now: int) -> Json:
    """One key that was made while it runs."""
    return {
        "id": issued.id,
        "object": "key",
        "tenant": issued.tenant,
        "label": issued.label,
        "scopes": sorted(issued.scopes),
        "state": issued.state(now),
        "expires": issued.expires,
        "limits": issued.limits.as_dict(),
        "created": issued.created,
        "created_by": issued.created_by,
        "last_used": issued.last_used,
        "revoked": issued.revoked,
        "rotated_from": issued.rotated_from,
        "declared": False,
    }


def declared_key_record(key: Key, label: str, now: int) -> Json:
    """One key of the configuration."""
    return {
        "id": key.id,
        "object": "key",
        "tenant": key.tenant,
        "label": label,
        "scopes": sorted(key.scopes),
        "state": "expired" if key.is_over(now) else "active",
        "expires": key.expires,
        "limits": key.limits.as_dict(),
        "created": None,
        "created_by": None,
        "last_used": None,
        "revoked": None,
        "rotated_from": None,
        "declared": True,
    }


def grant_record(adapter: str, tenant: str) -> Json:
    """A tenant's leave to use an adapter."""
    return {"id": f"{adapter}/{tenant}", "object": "grant", "adapter": adapter, "tenant": tenant}


def limits_record(tenant: str, limits: Json, in_use: tuple[int, ...]) -> Json:
    """What a tenant may use, uses, and may still use; ``in_use`` in the order of ``LIMITS``."""
    used = {name: n for name, n in zip(LIMITS, in_use, strict=True) if name in limits}
    return {
        "id": tenant,
        "object": "limits",
        "limits": limits,
        "used": used,
        "remaining": {name: max(0, limits[name] - n) for name, n in used.items()},
    }


def deleted_record(id_: str, kind: str) -> Json:
    """What is left of something that was deleted."""
    return {"id": id_, "object": f"{kind}.deleted", "deleted": True}
