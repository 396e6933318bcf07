"""Who may ask and what there is to ask for, as a config file declares it: ``user_config`` of the
``control`` deployment. Changing it restarts nothing."""

from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    model_validator,
)

from serve_app.setting_types import Name, checked_name, from_environment
from serve_app.settings import Strict

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


def _time(value: Any) -> Any:
    if isinstance(value, date):
        raise ValueError('must be in quotes, as "2027-01-31T00:00:00Z": Serve takes no YAML dates')
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise ValueError('must be a time such as "2027-01-31T00:00:00Z"') from None
    if time.tzinfo is None:
        raise ValueError("has no timezone: end it with Z for UTC, or with an offset as +02:00")
    return time


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("must be printable")
    return text


Key = Annotated[SecretStr, AfterValidator(_key)]
ScopeName = Literal["inference", "adapters:manage", "usage:read", "admin"]
"""As ``tenancy.keys.Scope``."""
Label = Annotated[str, Field(max_length=255), AfterValidator(_printable)]
Time = Annotated[datetime, BeforeValidator(_time)]
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


class KeySettings(Strict):
    """A declared key. A text in its place is one that has a ``key`` and nothing else.

    Attributes:
        key: written out, or ``${NAME}`` to take it from the environment, or ``file:PATH`` to take
            it from a file.
        label: what it is for.
        scopes: any, as of a key made by API; if not given, ``inference``, ``usage:read``, and
            those that its tenant's ``manages_adapters`` and ``admin`` stand for.
        expires_at: from then on it is refused as one that nobody has.
        limits: of this key alone, beside its tenant's.
    """

    key: Key
    label: Label = ""
    scopes: list[ScopeName] | None = Field(default=None, min_length=1)
    expires_at: Time | None = None
    limits: LimitsSettings = LimitsSettings()

    @model_validator(mode="wrap")
    @classmethod
    def _spelt_out(cls, value: Any, read: ModelWrapValidatorHandler[Self]) -> Self:
        """A name that is not known here may be a key, and is not repeated."""
        if isinstance(value, str):
            return cls.model_construct(key=_key(SecretStr(value)))
        known = ", ".join(cls.model_fields)
        if not isinstance(value, dict):
            raise ValueError(f"must be a text, or a mapping of {known}")
        if not value.keys() <= cls.model_fields.keys():
            raise ValueError(f"holds a name that is not known here; known are {known}")
        return read(value)

    @property
    def may_infer(self) -> bool:
        """Whether it has the scope ``inference``, or one that includes it."""
        return self.scopes is None or not {"inference", "admin"}.isdisjoint(self.scopes)


class TenantSettings(Strict):
    """A declared tenant. ``adapters: ["*"]`` grants every adapter; ``manages_adapters`` lets its
    keys register, replace and remove adapters of its own; ``weight`` is its share of a saturated
    fleet, relative to other tenants'."""

    id: Name
    keys: list[KeySettings] = Field(default_factory=list)
    adapters: list[Grant] = Field(default_factory=list)
    default_adapter: Name | None = None
    base: bool = False
    admin: bool = False
    manages_adapters: bool = False
    enabled: bool = True
    weight: float = Field(default=1.0, ge=0.01, le=1000)
    limits: LimitsSettings = LimitsSettings()

    @property
    def inference_key(self) -> str | None:
        """The first of its keys that may be used for inference."""
        return next((one.key.get_secret_value() for one in self.keys if one.may_infer), None)


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
        _must_hold_their_own(self.tenants)
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


def _must_hold_their_own(tenants: list[TenantSettings]) -> None:
    first: dict[str, str] = {}
    for at, tenant in enumerate(tenants):
        for place, one in enumerate(tenant.keys):
            here, key = f"tenants.{at}.keys.{place}", one.key.get_secret_value()
            if (there := first.setdefault(key, here)) != here:
                raise ValueError(f"{there} and {here} hold the same key")
