"""Who gets room in the engine, and who makes it. Pure.

An engine has ``capacity`` places. Whoever waits for one gets it in the order of asking. Idle
versions go first; when all are busy, one whose turn is over takes no new requests, so that it
empties within the longest of those it has: a version that is always busy cannot keep others out.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from serve_app.engine.eviction import Candidate, cheapest_first


@dataclass(frozen=True, slots=True)
class Place:
    """A version that is loaded and may be let go: neither pinned nor leaving.

    Attributes:
        leases: requests that use it.
        since: monotonic seconds at which it became resident.
        held_back: it takes no new requests, to make room.
    """

    candidate: Candidate
    leases: int
    since: float
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class Moves:
    """What to do now.

    Attributes:
        admit: how many of those that wait get a place, in order.
        unload: names of idle versions to unload.
        hold_back: names of all versions that take no new requests from now on.
    """

    admit: int = 0
    unload: tuple[str, ...] = ()
    hold_back: frozenset[str] = frozenset()


def decide(
    waiting: Sequence[float],
    places: Sequence[Place],
    *,
    free: int,
    leaving: int,
    turn_s: float,
    now: float,
) -> Moves:
    """Share out the room there is and make what is missing.

    Args:
        waiting: since when each waits for room, in the order of asking.
        places: versions that may be let go.
        free: places nobody has.
        leaving: versions being unloaded, whose places will be free.
        turn_s: a busy version is left alone for so long, and so long waits who would have it go.
    """
    admit = min(max(free, 0), len(waiting))
    missing = max(0, len(waiting) - admit - leaving)
    idle = [place.candidate for place in places if not place.leases]
    unload = tuple(c.name for c in cheapest_first(idle, now)[:missing])
    overdue = sum(now - since >= turn_s for since in waiting[admit:])
    over = min(missing - len(unload), overdue)
    return Moves(admit, unload, frozenset(_held_back(places, over, turn_s, now)))


def _held_back(places: Sequence[Place], over: int, turn_s: float, now: float) -> list[str]:
    """Busy versions to empty: those being emptied already, then those of least value."""
    begun = [place for place in places if place.leases and place.held_back]
    others = [
        place.candidate
        for place in places
        if place.leases and not place.held_back and now - place.since >= turn_s
    ]
    names = [p.candidate.name for p in begun] + [c.name for c in cheapest_first(others, now)]
    return names[:over]
