"""API keys at rest and their look-up. A plain key lives only as long as the request line."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from serve_app.tenancy.limits import UNLIMITED, Limits


class Scope(StrEnum):
    """What a key may be used for. ``admin`` includes all the others."""

    INFERENCE = "inference"
    ADAPTERS_MANAGE = "adapters:manage"
    USAGE_READ = "usage:read"
    ADMIN = "admin"


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a tenant, as gateways know it.

    Attributes:
        id: its public name.
        expires: unix time in seconds from which it is refused; None if never.
        limits: of this key alone, beside its tenant's.
    """

    id: str
    tenant: str
    scopes: frozenset[Scope] = frozenset({Scope.INFERENCE})
    expires: int | None = None
    limits: Limits = UNLIMITED

    def allows(self, scope: Scope) -> bool:
        """Whether it may be used for ``scope``."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def is_over(self, now: float) -> bool:
        """Whether it has expired, at the unix time ``now`` in seconds."""
        return self.expires is not None and self.expires <= now


def fingerprint(key: str, pepper: bytes) -> bytes:
    """HMAC-SHA256 of a key under the pepper: what is stored and looked up instead of the key."""
    return hmac.digest(pepper, key.encode(), hashlib.sha256)


def cache_salt(tenant: str, pepper: bytes) -> str:
    """The tenant's prefix-cache salt: 64 hex characters that tell nothing of the tenant.

    vLLM takes at most 128 characters and none of ``@ / \\ NUL``.
    """
    return hmac.digest(pepper, b"cache-salt:" + tenant.encode(), hashlib.sha256).hex()


class Keyring:
    """Every key by its fingerprint.

    The look-up is by HMAC, so neither its time nor a hash collision tells anything of other keys.
    """

    def __init__(self, keys: Mapping[bytes, Key], pepper: bytes) -> None:
        self._keys = keys
        self._pepper = pepper

    def find(self, key: str) -> Key | None:
        """The key, or None if nobody holds it."""
        return self._keys.get(fingerprint(key, self._pepper))

    def changed(self, changes: Mapping[bytes, Key | None]) -> "Keyring":
        """A ring with these keys in place of those of the same fingerprints; None takes one out."""
        keys = {**self._keys, **changes}
        return Keyring({print_: key for print_, key in keys.items() if key}, self._pepper)
