"""Who may ask and what there is to ask for, as a config file declares it: ``user_config`` of the
``control`` deployment. Changing it restarts nothing."""

from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr, model_validator

from serve_app.settings import Name, Strict, checked_name, from_environment


def _key(key: SecretStr) -> SecretStr:
    value = from_environment(key.get_secret_value())
    if not (value.isascii() and value.isprintable()) or value.strip() != value or not value:
        raise ValueError("a key is printable ASCII without spaces around it")
    return SecretStr(value)


Key = Annotated[SecretStr, AfterValidator(_key)]
Grant = Annotated[str, AfterValidator(lambda text: text if text == "*" else checked_name(text))]


class TenantSettings(Strict):
    """A declared tenant. ``adapters: ["*"]`` grants every adapter; a key is written out, or
    ``${NAME}`` to take it from the environment; ``manages_adapters`` lets its keys register,
    replace and remove adapters of its own."""

    id: Name
    keys: list[Key] = Field(min_length=1)
    adapters: list[Grant] = Field(default_factory=list)
    default_adapter: Name | None = None
    base: bool = False
    admin: bool = False
    manages_adapters: bool = False


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
