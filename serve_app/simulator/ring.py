"""A hash ring: consistent hashing, for the baseline that uses it."""

import hashlib
from bisect import bisect_left


class Ring:
    """Replicas by their points on a ring (Karger et al., 1997).

    Args:
        points: how many each replica has.
    """

    def __init__(self, points: int) -> None:
        self._points = points
        self._ids: frozenset[str] = frozenset()
        self._ring: list[tuple[int, str]] = []
        self._orders: dict[str, list[str]] = {}

    def order(self, key: str, ids: frozenset[str]) -> list[str]:
        """All of ``ids`` as they come when one walks the ring from ``key``."""
        if ids != self._ids:
            self._ids, self._orders = ids, {}
            self._ring = sorted(
                (_hash(f"{id_}{n}"), id_) for id_ in ids for n in range(self._points)
            )
        if key not in self._orders:
            start = bisect_left(self._ring, (_hash(key), ""))
            walk = [*self._ring[start:], *self._ring[:start]]
            self._orders[key] = list(dict.fromkeys(id_ for _, id_ in walk))
        return self._orders[key]


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
