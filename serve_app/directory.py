"""Who may ask and what there is to ask for, as a config file declares it: ``user_config`` of the
``control`` deployment. Changing it restarts nothing."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, model_validator

from serve_app.settings import Name, Strict, checked_name, from_environment

FILE = "file:"
MOST = 2**53
"""The largest number that JSON carries whole everywhere."""
Amount = Annotated[int, Field(ge=0, le=MOST)]
Cap = Annotated[int, Field(ge=1, le=MOST)]


def _key(key: SecretStr) -> SecretStr:
    value = _from_file(from_environment(key.get_secret_value()))
    if not (value.isascii() and value.isprintable()) or value.strip() != value or not value:
        raise ValueError("a key is printable ASCII without spaces around it")
    return SecretStr(value)


def _from_file(value: str) -> str:
    """``value``, or what the file at PATH holds when it is ``file:PATH``."""
    if not value.startswith(FILE):
        return value
    try:
        return Path(value.removeprefix(FILE)).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the key's file cannot be read: {error}") from None


Key = Annotated[SecretStr, AfterValidator(_key)]
Grant = Annotated[str, AfterValidator(lambda text: text if text == "*" else checked_name(text))]


class LimitsSettings(Strict):
    """As ``tenancy.limits.Limits``; what is left out is not limited here."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        json_schema_extra={"example": {"requests_per_minute": 600, "tokens_per_day": 2_000_000}},
    )

    requests_per_minute: Amount | None = None
    tokens_per_minute: Amount | None = None
    concurrent_requests: Amount | None = None
    concurrent_adapters: Amount | None = None
    tokens_per_day: Amount | None = None
    tokens_per_month: Amount | None = None
    max_body_bytes: Cap | None = None
    max_tokens: Cap | None = None
    max_n: Cap | None = None
    max_logprobs: Amount | None = None
    max_stop: Cap | None = None
    max_prompts: Cap | None = None
    max_grammar_bytes: Cap | None = None


class TenantSettings(Strict):
    """A declared tenant. ``adapters: ["*"]`` grants every adapter; a key is written out, or
    ``${NAME}`` to take it from the environment, or ``file:PATH`` to take it from a file;
    ``manages_adapters`` lets its keys register, replace and remove adapters of its own; ``weight``
    is its share of a saturated fleet, relative to other tenants'."""

    id: Name
    keys: list[Key] = Field(default_factory=list)
    adapters: list[Grant] = Field(default_factory=list)
    default_adapter: Name | None = None
    base: bool = False
    admin: bool = False
    manages_adapters: bool = False
    enabled: bool = True
    weight: float = Field(default=1.0, ge=0.01, le=1000)
    limits: LimitsSettings = LimitsSettings()


class AdapterSettings(Strict):
    """A declared adapter: a name, and a directory in PEFT's format or the URL of one.

    ``preload``, ``pin``, ``owner`` and ``grants`` are as in ``adapters.catalog.Entry``.
    """

    name: Name
    path: str = Field(min_length=1)
    preload: bool = False
    pin: bool = False
    owner: Name | None = None
    grants: list[Name] = Field(default_factory=list)


class Directory(Strict):
    """``user_config`` of control: who may ask, and what there is to ask for."""

    tenants: list[TenantSettings] = Field(min_length=1)
    adapters: list[AdapterSettings] = Field(default_factory=list)

    @model_validator(mode="after")
    def _names_exist(self) -> "Directory":
        known = [adapter.name for adapter in self.adapters]
        _must_be_unique("adapters", known)
        _must_be_unique("tenants", [tenant.id for tenant in self.tenants])
        keys = [key.get_secret_value() for tenant in self.tenants for key in tenant.keys]
        if len(keys) != len(set(keys)):
            raise ValueError("tenants: two tenants, or one twice, hold the same key")
        for tenant in self.tenants:
            used = [*tenant.adapters, *filter(None, [tenant.default_adapter])]
            for name in used:
                if name != "*" and name not in known:
                    raise ValueError(
                        f"tenants: {tenant.id} names adapter {name!r}, which is not declared; "
                        f"declared are {', '.join(known) or 'none'}"
                    )
        return self


def _must_be_unique(what: str, names: list[str]) -> None:
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{what}: declared twice: {', '.join(sorted(twice))}")
