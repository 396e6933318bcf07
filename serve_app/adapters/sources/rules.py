"""Which sources adapters may come from, and how much of one is taken."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceRules:
    """What may be fetched.

    Attributes:
        roots: directories under which a local source must lie.
        schemes: URL schemes a source may have, of ``s3``, ``gs``, ``hf`` and ``https``.
        max_bytes: the largest adapter taken.
        timeout_s: a source that takes longer, retries and pauses included, is given up.
        attempts: how often each file of a remote source is tried.
        loopback: this very machine, and plain ``http://`` to it, is a source too. For tests.
    """

    roots: tuple[Path, ...] = ()
    schemes: frozenset[str] = frozenset({"s3", "gs", "hf", "https"})
    max_bytes: int = 8 << 30
    timeout_s: float = 900
    attempts: int = 3
    loopback: bool = False
