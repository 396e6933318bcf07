"""One version's stay on a replica, from the first request for it until its engine has let it go."""

import asyncio
from dataclasses import dataclass, field
from enum import IntEnum, auto

from serve_app.adapters.report import Held, Residence
from serve_app.adapters.version import Version
from serve_app.engine.eviction import Candidate, Uses
from serve_app.engine.retirements import Retirement


class Phase(IntEnum):
    """How far a stay has come. From ``PLACED`` on it takes up room in the engine; from
    ``LOADING`` on the engine knows it."""

    STAGING = auto()
    WAITING = auto()
    PLACED = auto()
    LOADING = auto()
    RESIDENT = auto()
    LEAVING = auto()


@dataclass(slots=True, eq=False)
class Stay:
    """Times are monotonic seconds.

    Attributes:
        uses: requests of late, which weigh when room is needed.
        preloaded: it is brought before anybody asked, so it needs nobody to wait for it.
        bringing: its load, which ends when the engine holds it.
        leases: requests that use it or wait for it.
        expiries: of each lease; rescheduled when its adapter is removed.
        since: when its present phase began.
        retirement: why it is let go of when its last lease ends.
        held_back: it takes no new requests, to make room.
        placed: set when it has room.
        moved: set when it takes requests again, or has gone.
    """

    version: Version
    uses: Uses
    preloaded: bool = False
    phase: Phase = Phase.STAGING
    since: float = 0.0
    bringing: "asyncio.Task[None] | None" = None
    engine_id: int | None = None
    leases: int = 0
    expiries: set[asyncio.Timeout] = field(default_factory=set)
    load_s: float | None = None
    retirement: Retirement | None = None
    held_back: bool = False
    placed: asyncio.Event = field(default_factory=asyncio.Event)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def name(self) -> str:
        return self.version.name

    @property
    def joinable(self) -> bool:
        """Whether a new request may use it or wait for it."""
        return not self.held_back and self.phase is not Phase.LEAVING

    @property
    def idle(self) -> bool:
        return self.phase is Phase.RESIDENT and not self.leases

    @property
    def active(self) -> bool:
        return self.phase is Phase.RESIDENT and self.leases > 0

    @property
    def unwanted(self) -> bool:
        """Nobody waits for it and the engine has not begun to take it."""
        return self.phase < Phase.LOADING and not self.leases and not self.preloaded

    def enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since = phase, now

    def as_candidate(self) -> Candidate:
        retired = self.retirement is not None
        return Candidate(self.name, self.uses, self.load_s or 0.0, retired)

    def as_held(self) -> Held:
        """As control is told of it."""
        return Held(self.name, self._residence(), self.leases, self.load_s)

    def _residence(self) -> Residence:
        if self.phase < Phase.PLACED:
            return Residence.STAGING
        if self.phase < Phase.RESIDENT:
            return Residence.LOADING
        if self.phase is Phase.LEAVING or self.retirement is not None:
            return Residence.LEAVING
        return Residence.ACTIVE if self.leases else Residence.RESIDENT
