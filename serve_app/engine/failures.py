"""Loads that failed, remembered for a while so that a bad version does not trouble the engine."""

from dataclasses import dataclass

from serve_app.errors import AdapterRefused

FIRST_PAUSE_S = 30.0
LONGEST_PAUSE_S = 300.0
MOST = 1000
"""Failures remembered; beyond it the oldest is forgotten."""


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a version was refused, and until when it is not tried again (monotonic seconds)."""

    message: str
    code: str
    pause_s: float
    until: float


class Failures:
    """Failures by version name."""

    def __init__(self) -> None:
        self._failures: dict[str, Failure] = {}

    def remember(self, name: str, error: AdapterRefused, now: float) -> None:
        """A load failed: pause for 30 s, and twice as long each time it fails again, up to 5
        minutes."""
        before = self._failures.pop(name, None)
        pause_s = min(2 * before.pause_s, LONGEST_PAUSE_S) if before else FIRST_PAUSE_S
        self._failures[name] = Failure(error.message, error.code, pause_s, now + pause_s)
        if len(self._failures) > MOST:
            del self._failures[next(iter(self._failures))]

    def forget(self, name: str) -> None:
        self._failures.pop(name, None)

    def raise_for(self, name: str, now: float) -> None:
        """Refuse what failed a moment ago.

        Raises:
            AdapterRefused: as its load did.
        """
        failure = self._failures.get(name)
        if failure is not None and now < failure.until:
            raise AdapterRefused(failure.message, code=failure.code)

    def reasons(self, now: float) -> dict[str, str]:
        """Why each version that is not tried now was refused, by name."""
        return {n: failure.message for n, failure in self._failures.items() if now < failure.until}
