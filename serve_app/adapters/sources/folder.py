"""What every kind of source is to the one that copies: a folder of which two files are read."""

from collections.abc import Callable, Generator
from dataclasses import dataclass

CHUNK_BYTES = 1 << 20
READ_TIMEOUT_S = 30.0
"""How long a remote source may be silent."""

Chunks = Generator[bytes, None, None]
Open = Callable[[str], Chunks]


@dataclass(frozen=True, slots=True)
class Folder:
    """A source that may be read.

    Attributes:
        open: the content of a file by name, in chunks. Raises FileNotFoundError if there is no
            such file, AdapterRefused, or SourceUnavailable.
        resolved: the source as it was found, a hub's revision as a commit.
        exists: it is known to exist, so that what is missing is a file of it.
    """

    open: Open
    resolved: str
    exists: bool
