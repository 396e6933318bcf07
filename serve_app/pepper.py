"""The secret under which keys and cache salts are hashed. Whoever changes it changes every key."""

import os
import secrets
from pathlib import Path

from serve_app.errors import ConfigError

VARIABLE = "SERVE_APP_PEPPER"
FILE_VARIABLE = "SERVE_APP_PEPPER_FILE"
_FILE = "pepper"


def given() -> str:
    """The pepper in the environment, or in the file it names; empty if there is none.

    Raises:
        ConfigError: the file cannot be read, or is empty.
    """
    path = os.environ.get(FILE_VARIABLE)
    if os.environ.get(VARIABLE) or not path:
        return os.environ.get(VARIABLE, "")
    try:
        pepper = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FILE_VARIABLE}: the file cannot be read: {error}") from None
    if not pepper:
        raise ConfigError(f"{FILE_VARIABLE}: the file {path} is empty")
    return pepper


def kept_in(folder: Path) -> str:
    """The pepper of the registry in ``folder``, which is made the first time.

    Raises:
        OSError: it can be neither read nor made.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _FILE
    try:
        made = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text(encoding="utf-8").strip()
    with os.fdopen(made, "w", encoding="utf-8") as file:
        file.write(secrets.token_hex(32))
    return path.read_text(encoding="utf-8").strip()
