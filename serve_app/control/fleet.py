"""What replicas told of the adapters they hold. Pure: the clock is an argument, in seconds."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from serve_app.adapters.report import Held, Report

SILENCE_S = 15.0
"""A replica silent for so long is not there any more."""


@dataclass(frozen=True, slots=True)
class Residence:
    """One version on one replica."""

    replica: str
    held: Held


class Fleet:
    """The replicas that report, and what they hold.

    Args:
        now: when listening began. Until everybody had the time to report, nothing is known to be
            gone.
    """

    def __init__(self, now: float) -> None:
        self._since = now
        self._heard: dict[str, tuple[float, Report]] = {}
        self._holders: defaultdict[str, dict[str, Held]] = defaultdict(dict)

    def hear(self, report: Report, now: float) -> None:
        """Take a report in."""
        self._forget(report.replica)
        self._heard[report.replica] = now, report
        for held in report.held:
            self._holders[held.name][report.replica] = held

    def expire(self, now: float) -> None:
        """Forget replicas that are silent."""
        silent = [name for name, (at, _) in self._heard.items() if now - at > SILENCE_S]
        for replica in silent:
            self._forget(replica)

    def holders(self, version: str) -> list[Residence]:
        """Where a version is, by replica."""
        found: Mapping[str, Held] = self._holders.get(version, {})
        return [Residence(replica, found[replica]) for replica in sorted(found)]

    def holds(self, version: str) -> bool:
        return version in self._holders

    def released(self, version: str, revision: int, now: float) -> bool:
        """Whether no living replica holds what was retired in ``revision``, or still may."""
        if now - self._since < SILENCE_S or self.holds(version):
            return False
        return all(report.revision >= revision for _, report in self._heard.values())

    def _forget(self, replica: str) -> None:
        _, report = self._heard.pop(replica, (0.0, None))
        for held in report.held if report else ():
            self._holders[held.name].pop(replica, None)
            if not self._holders[held.name]:
                del self._holders[held.name]
