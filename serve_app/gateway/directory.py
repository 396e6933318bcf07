"""Turns the declared tenants and adapters into the snapshot requests are resolved from."""

import time
from pathlib import Path

from serve_app.adapters.names import asked_adapter
from serve_app.adapters.preflight import check
from serve_app.adapters.version import Version
from serve_app.errors import AdapterRefused, ConfigError
from serve_app.settings import AdapterSettings, Directory, EngineSettings, TenantSettings
from serve_app.tenancy.keys import Keyring, cache_salt, fingerprint
from serve_app.tenancy.snapshot import Snapshot
from serve_app.tenancy.tenant import Tenant


def snapshot(directory: Directory, engine: EngineSettings, pepper: bytes) -> Snapshot:
    """Check every adapter and hash every key. Reads each adapter once: not for the event loop.

    Raises:
        ConfigError: naming each adapter that may not be served, and why.
    """
    return Snapshot(
        base=engine.base_name,
        created=int(time.time()),
        keyring=_keyring(directory.tenants, pepper),
        tenants={tenant.id: _tenant(tenant, pepper) for tenant in directory.tenants},
        versions=_versions(directory.adapters, engine),
    )


def _keyring(tenants: list[TenantSettings], pepper: bytes) -> Keyring:
    fingerprints = {
        fingerprint(key.get_secret_value(), pepper): tenant.id
        for tenant in tenants
        for key in tenant.keys
    }
    return Keyring(fingerprints, pepper)


def _tenant(declared: TenantSettings, pepper: bytes) -> Tenant:
    default = {declared.default_adapter} if declared.default_adapter else set()
    return Tenant(
        id=declared.id,
        adapters=frozenset(declared.adapters) | default,
        default_adapter=declared.default_adapter,
        base=declared.base,
        admin=declared.admin,
        cache_salt=cache_salt(declared.id, pepper),
    )


def _versions(adapters: list[AdapterSettings], engine: EngineSettings) -> dict[str, Version]:
    versions: dict[str, Version] = {}
    refused: list[str] = []
    for adapter in adapters:
        if asked_adapter(adapter.name, engine.base_name) != adapter.name:
            refused.append(f"  {adapter.name!r} means the base model; name the adapter otherwise")
            continue
        try:
            versions[adapter.name] = check(adapter.name, Path(adapter.path), engine.max_lora_rank)
        except AdapterRefused as error:
            refused.append(f"  {error.message} [{error.code}] ({adapter.path})")
    if refused:
        raise ConfigError("adapters that cannot be served:\n" + "\n".join(refused))
    return versions
