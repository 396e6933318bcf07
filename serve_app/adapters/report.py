"""What a replica tells control about the adapters it holds. Plain data, pickled by Ray."""

from dataclasses import dataclass
from enum import StrEnum


class Residence(StrEnum):
    """How far a version has come on a replica."""

    STAGING = "staging"  # its files are being fetched and read
    LOADING = "loading"  # the engine is taking it
    RESIDENT = "resident"  # the engine holds it
    ACTIVE = "active"  # requests are using it
    LEAVING = "leaving"  # it is being unloaded, or will be when its last request ends
    FAILED = "failed"  # the engine would not take it; not tried again for a while


@dataclass(frozen=True, slots=True)
class Held:
    """One version on one replica.

    Attributes:
        name: the version's name, ``adapter@digest``.
        leases: requests that use it or wait for it.
        load_s: seconds its load took, staging included; None before it is loaded.
        reason: why it failed.
    """

    name: str
    state: Residence
    leases: int = 0
    load_s: float | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """One replica's adapters.

    Attributes:
        replica: its id.
        revision: the catalog's revision it has taken in; what that let go of and is not in
            ``held`` has left its engine.
    """

    replica: str
    revision: int
    held: tuple[Held, ...]
