"""Names of adapters and tenants, and the three spellings a client may use. Pure."""

import re

NAME_PATTERN = r"[a-z0-9][a-z0-9._-]{0,62}"
_NAME = re.compile(NAME_PATTERN)


def is_name(text: str) -> bool:
    """Whether ``text`` may name an adapter, a tenant or an alias."""
    return _NAME.fullmatch(text) is not None


def public_name(base: str, adapter: str) -> str:
    """The name under which answers say who answered: ``base@adapter``."""
    return f"{base}@{adapter}"


def asked_adapter(model: str, base: str) -> str | None:
    """The adapter a client's ``model`` asks for, or None when it asks for the base.

    ``base@adapter``, ``base:adapter`` and bare ``adapter`` mean the same; ``base``, the base
    model's own name and the empty string mean the base. The result is not checked: it may name
    nothing at all.
    """
    for prefix in (base, "base"):
        if model == prefix:
            return None
        for separator in ("@", ":"):
            if model.startswith(prefix + separator):
                return model[len(prefix) + 1 :]
    return model or None
