"""Replicas that have just come, and the adapters each of them loads before it is asked for them.

A new replica is the home of its share of all adapters, but holds none: by delay alone they stay
where they are until those replicas are so busy that a cold load is sooner. Loaded in the background
as they are asked for elsewhere, they go home with the next request, and nobody waits.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import inf

from serve_app.routing.homes import Homes
from serve_app.routing.view import ReplicaView


class Newcomers:
    """Remembers since when replicas run.

    Args:
        new_s: a replica counts as new for so long.
    """

    def __init__(self, new_s: float) -> None:
        self._new_s = new_s
        self._since: dict[str, float] = {}

    def came(self, replicas: Iterable[str], now: float) -> None:
        """These run from now on."""
        self._since.update(dict.fromkeys(replicas, now))

    def at(self, now: float) -> Mapping[str, float]:
        """Those that are new, and since when they run."""
        for id_ in [id_ for id_, since in self._since.items() if now - since >= self._new_s]:
            del self._since[id_]
        return self._since


def new_home(
    adapter: str,
    chosen: str,
    replicas: Sequence[ReplicaView],
    homes: Homes,
    new: Mapping[str, float],
) -> ReplicaView | None:
    """The new replica that is to load an adapter a request for which went to ``chosen``.

    It is the adapter's home, came after ``chosen``, and loads nothing else: what is asked for most
    comes first, and a request that must load there waits for one such load at most.

    Args:
        new: since when the new ones run.
    """
    alive = {view.id: view for view in replicas if view.alive}
    if not new.keys() & alive.keys():
        return None
    home = alive[homes.first(adapter, alive)]
    came_later = new.get(home.id, -inf) > new.get(chosen, -inf)
    return home if came_later and not home.loading and adapter not in home.known else None
