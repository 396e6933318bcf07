"""Versions to let go of: superseded ones for a moment, removed ones until they are back.

A gateway that is a moment behind may still send requests for them: what those load is let go of
again when they end.
"""

from dataclasses import dataclass
from enum import StrEnum

LINGER_S = 10.0
"""How long a superseded version stays retired. Later requests mean it, by number or digest."""
MOST = 10_000
"""Retirements remembered; beyond it the oldest is forgotten."""


class Reason(StrEnum):
    """Why a version left the engine."""

    ROOM = "room"  # another needed its place
    RETIRED = "retired"  # another version took over
    REMOVED = "removed"  # its adapter was removed


@dataclass(frozen=True, slots=True)
class Retirement:
    """Why a version is let go of, and when, in monotonic seconds.

    Attributes:
        abort_at: requests that still use it then are aborted; None lets them end by themselves.
    """

    reason: Reason
    at: float
    abort_at: float | None = None


class Retirements:
    """Retirements by version name."""

    def __init__(self) -> None:
        self._retired: dict[str, Retirement] = {}

    def retire(self, name: str, now: float, abort_after_s: float | None = None) -> Retirement:
        self._retired.pop(name, None)
        removed = abort_after_s is not None
        retirement = Retirement(
            Reason.REMOVED if removed else Reason.RETIRED,
            now,
            now + abort_after_s if abort_after_s is not None else None,
        )
        self._retired[name] = retirement
        if len(self._retired) > MOST:
            del self._retired[next(iter(self._retired))]
        return retirement

    def restore(self, name: str) -> None:
        """It may answer again."""
        self._retired.pop(name, None)

    def of(self, name: str, now: float) -> Retirement | None:
        """The retirement that a request which comes now falls under."""
        retirement = self._retired.get(name)
        if retirement is None:
            return None
        if retirement.reason is Reason.RETIRED and now - retirement.at > LINGER_S:
            del self._retired[name]
            return None
        return retirement
