"""One immutable version of an adapter: a name, a number, a digest of its content."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

CONFIG_FILE = "adapter_config.json"
WEIGHTS_FILE = "adapter_model.safetensors"
FILES = (CONFIG_FILE, WEIGHTS_FILE)
"""All that is ever taken of an adapter."""

DIGEST_CHARS = 12
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Version:
    """An adapter's content as it was when it was registered.

    Attributes:
        adapter: the adapter's name.
        number: counts the adapter's versions from 1; never given twice.
        digest: hex SHA-256 of its two files, 64 characters.
        rank: LoRA rank.
        size_bytes: bytes of its two files together.
    """

    adapter: str
    number: int
    digest: str
    rank: int
    size_bytes: int

    @property
    def short_digest(self) -> str:
        return self.digest[:DIGEST_CHARS]

    @property
    def name(self) -> str:
        """The name engines know it by. Content is part of it, so no cache can be stale."""
        return f"{self.adapter}@{self.short_digest}"


def digest_of(directory: Path) -> str:
    """Hex SHA-256 over the config and the weights, each preceded by its length.

    Raises:
        OSError: a file is missing or unreadable.
    """
    whole = hashlib.sha256()
    for name in FILES:
        path = directory / name
        whole.update(path.stat().st_size.to_bytes(8, "big"))
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                whole.update(chunk)
    return whole.hexdigest()
