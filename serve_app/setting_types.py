"""What single settings may be. Bad values are refused without being quoted."""

import os
import re
from importlib.util import find_spec
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, SecretStr

from serve_app.adapters.names import NAME_PATTERN, is_name


def checked_name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"must match {NAME_PATTERN}")
    return text


_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)\}")


def from_environment(value: str) -> str:
    """``value``, or what the environment has under NAME when it is ``${NAME}``."""
    variable = _VARIABLE.fullmatch(value)
    if variable is None:
        return value
    found = os.environ.get(variable["name"], "")
    if not found:
        raise ValueError(f"the environment variable {variable['name']} is not set")
    return found


def _database_url(url: SecretStr) -> SecretStr:
    value = from_environment(url.get_secret_value())
    if not value.startswith(("postgresql+asyncpg://", "sqlite+aiosqlite://")):
        raise ValueError("must begin with postgresql+asyncpg:// or sqlite+aiosqlite://")
    return SecretStr(value)


def _redis_url(url: SecretStr) -> SecretStr:
    value = from_environment(url.get_secret_value())
    if not value.startswith(("redis://", "rediss://", "unix://")):
        raise ValueError("must begin with redis://, rediss:// or unix://")
    try:
        _ = urlsplit(value).port
    except ValueError:  # which quotes a part of it
        raise ValueError("is no URL; in a password, / is %2F, @ is %40 and : is %3A") from None
    if find_spec("redis") is None:
        raise ValueError("needs Redis' client: pip install 'serve-app[redis]'")
    return SecretStr(value)


DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_url)]
RedisUrl = Annotated[SecretStr, AfterValidator(_redis_url)]
Name = Annotated[str, AfterValidator(checked_name)]
Rank = Literal[1, 8, 16, 32, 64, 128, 256, 320, 512]
