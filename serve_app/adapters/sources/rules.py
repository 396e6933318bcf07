"""Which sources adapters may come from, and how much of one is taken."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What may be fetched.

    Attributes:
        roots: directories under which a local source must lie.
        schemes: URL schemes a source may have, of ``s3``, ``gs``, ``hf`` and ``https``.
        prefixes: what a URL must begin with, any of them; None for no such limit.
        max_bytes: the largest adapter taken.
        timeout_s: a source that takes longer, retries and pauses included, is given up.
        attempts: how often each file of a remote source is tried.
        loopback: this very machine, and plain ``http://`` to it, is a source too. For tests.
    """

    roots: tuple[Path, ...] = ()
    schemes: frozenset[str] = frozenset({"s3", "gs", "hf", "https"})
    prefixes: tuple[str, ...] | None = None
    max_bytes: int = 8 << 30
    timeout_s: float = 900
    attempts: int = 3
    loopback: bool = False

    def may_begin(self, url: str) -> bool:
        """Whether the prefixes allow the URL, which must not lead out of one by ``..``."""
        if self.prefixes is None:
            return True
        steps_up = ".." in unquote(url).replace("\\", "/").split("/")
        return not steps_up and url.startswith(self.prefixes)
