"""Which of several sites are there. Pure: the time is given, in seconds that never go back.

A site shows that it lives by a number that goes up. Nobody reads another's clock, nor that of
Redis: a site is silent for as long as others have looked and its number has not changed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from serve_app.tenancy.allot import SILENT_S
from serve_app.tenancy.division import Told
from serve_app.tenancy.parts import quiet
from serve_app.tenancy.window import WINDOW_S

ROUND_S = 0.25
"""Seconds between two beats."""

LOOK_S = 1.0
"""One look adds no more than this to a silence: while nobody could look, nobody was silent."""

NAMESAKE_S = 1.0
"""A site's name is free once the process that had it is silent for so long."""


@dataclass(frozen=True, slots=True)
class Beat:
    """A sign of life: of which process of a site, and how many there were."""

    process: str
    number: int


class Attendance:
    """The sites, as a process of one of them sees them.

    Attributes:
        ours: this process speaks for its site.
        rival: another process does, and lives.
        lost: Redis had forgotten, at the last look, what this process wrote.
        number: of this process' last beat.
    """

    def __init__(self, site: str, process: str, now: float) -> None:
        self._site = site
        self._process = process
        self._looked_at = now
        self._beats: Mapping[str, Beat] = {}
        self._silent_s: dict[str, float] = {}
        self.ours = self.rival = self.lost = False
        self.number = 0

    @property
    def beat(self) -> Beat | None:
        """What this process is to write when it looks; None while it does not speak for its
        site."""
        return Beat(self._process, self.number + 1) if self.ours else None

    def look(self, beats: Mapping[str, Beat], now: float) -> None:
        """Take in the last beat of each site, as they were when ``beat`` was written."""
        passed, self._looked_at = min(now - self._looked_at, LOOK_S), now
        before, self._beats = self._beats, beats
        for site in self._silent_s.keys() | beats.keys():
            same = before.get(site) == beats.get(site)
            self._silent_s[site] = self._silent_s.get(site, 0.0) + passed if same else 0.0
        ours = beats.get(self._site)
        if ours is None or ours.process == self._process:
            self._go_on(ours.number if ours else 0)
        else:
            self._beside(ours, before.get(self._site))

    def others(self) -> list[str]:
        """Other sites that are there."""
        return [site for site in self._beats if site != self._site and self._is_there(site)]

    def counting(self, told: Mapping[str, Told], now: float) -> dict[str, Told]:
        """What other sites have told that still counts: until a whole window after they were heard
        last. ``at``, which is the number of a beat, becomes a time of this process' clock."""
        return {
            site: self._as_of_now(site, one, now)
            for site, one in told.items()
            if site != self._site and self.is_counting(site)
        }

    def is_counting(self, site: str) -> bool:
        return self._silent_s.setdefault(site, 0.0) <= WINDOW_S

    def _as_of_now(self, site: str, told: Told, now: float) -> Told:
        if not self._is_there(site):
            return replace(quiet(told), at=now)
        return replace(told, at=now - (self._beats[site].number - told.at) * ROUND_S)

    def _is_there(self, site: str) -> bool:
        return site in self._beats and self._silent_s[site] <= SILENT_S

    def _go_on(self, known: int) -> None:
        self.lost = self.ours and known < self.number
        self.number = self.number + 1 if self.ours else known
        self.ours, self.rival = True, False

    def _beside(self, theirs: Beat, before: Beat | None) -> None:
        """Another process has the name. Of two that take it at once the one that wrote last keeps
        it, for the other sees that."""
        goes_on = before is not None and before.process == theirs.process and before != theirs
        self.lost = False
        self.ours = self._silent_s[self._site] > NAMESAKE_S
        self.rival = not self.ours and (self.rival or goes_on)
        self.number = max(self.number, theirs.number)
