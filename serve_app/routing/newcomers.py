"""Replicas that have just come, and the adapters each of them loads before it is asked for them.

A new replica is the home of its share of all adapters, but holds none: by delay alone they stay
where they are until those replicas are so busy that a cold load is sooner. Loaded in the background
as they are asked for elsewhere, they go home with the next request, and nobody waits.
"""

from collections.abc import Iterable, Sequence, Set

from serve_app.routing.homes import Homes
from serve_app.routing.view import ReplicaView


class Newcomers:
    """Remembers since when replicas run.

    Args:
        new_s: a replica counts as new for so long.
    """

    def __init__(self, new_s: float) -> None:
        self._new_s = new_s
        self._until: dict[str, float] = {}

    def came(self, replicas: Iterable[str], now: float) -> None:
        """These run from now on."""
        self._until.update(dict.fromkeys(replicas, now + self._new_s))

    def at(self, now: float) -> Set[str]:
        """Those that are new."""
        for id_ in [id_ for id_, until in self._until.items() if until <= now]:
            del self._until[id_]
        return self._until.keys()


def new_home(
    adapter: str, chosen: str, replicas: Sequence[ReplicaView], homes: Homes, new: Set[str]
) -> ReplicaView | None:
    """The new replica that is to load an adapter a request for which went to ``chosen``.

    It is the adapter's home, and loads nothing else: what is asked for most comes first, and a
    request that must load there waits for one such load at most. While all are new, as when
    everything starts, adapters are loaded where requests go.
    """
    alive = {view.id: view for view in replicas if view.alive}
    if chosen in new or not new & alive.keys():
        return None
    home = alive[homes.first(adapter, alive)]
    is_free = home.id in new and not home.loading
    return home if is_free and adapter not in home.known else None
