"""API keys at rest and their look-up. A plain key lives only as long as the request line."""

import hashlib
import hmac
from collections.abc import Mapping


def fingerprint(key: str, pepper: bytes) -> bytes:
    """HMAC-SHA256 of a key under the pepper: what is stored and looked up instead of the key."""
    return hmac.digest(pepper, key.encode(), hashlib.sha256)


def cache_salt(tenant: str, pepper: bytes) -> str:
    """The tenant's prefix-cache salt: 64 hex characters that tell nothing of the tenant.

    vLLM takes at most 128 characters and none of ``@ / \\ NUL``.
    """
    return hmac.digest(pepper, b"cache-salt:" + tenant.encode(), hashlib.sha256).hex()


class Keyring:
    """Which tenant a key belongs to.

    The look-up is by HMAC, so neither its time nor a hash collision tells anything of other keys.
    """

    def __init__(self, tenants: Mapping[bytes, str], pepper: bytes) -> None:
        self._tenants = dict(tenants)
        self._pepper = pepper

    def tenant_of(self, key: str) -> str | None:
        """The tenant's id, or None for a key nobody holds."""
        return self._tenants.get(fingerprint(key, self._pepper))
