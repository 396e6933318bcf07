"""Homes: in which order the replicas come for an adapter, whatever their state.

Rendezvous hashing (Thaler & Ravishankar, 1998): the replica with the highest weight is first. When
a replica leaves, only the adapters it was home to move; when one comes, only those it becomes home
to: 1 in N of all. Every gateway finds the same order without asking another.
"""

import hashlib
from collections.abc import Iterable


class _Weights(dict[str, bytes]):
    """An adapter's weight of each replica, computed when it is first asked for."""

    def __init__(self, adapter: str) -> None:
        super().__init__()
        self._adapter = adapter

    def __missing__(self, replica: str) -> bytes:
        text = f"{self._adapter}\0{replica}".encode()
        weight = self[replica] = hashlib.blake2b(text, digest_size=8).digest()
        return weight


class Homes:
    """A memory of weights, so that a decision hashes nothing.

    Args:
        adapters: how many adapters it remembers; beyond it, it starts anew.
    """

    def __init__(self, adapters: int = 2048) -> None:
        self._limit = adapters
        self._weights: dict[str, _Weights] = {}

    def forget(self) -> None:
        """Replicas have left; weights are found again as they are needed."""
        self._weights.clear()

    def first(self, adapter: str, replicas: Iterable[str]) -> str:
        """The first of ``replicas`` in the adapter's order. There must be one."""
        return max(replicas, key=self._of(adapter).__getitem__)

    def order(self, adapter: str, replicas: Iterable[str]) -> list[str]:
        """All of ``replicas`` in the adapter's order."""
        return sorted(replicas, key=self._of(adapter).__getitem__, reverse=True)

    def _of(self, adapter: str) -> _Weights:
        weights = self._weights.get(adapter)
        if weights is None:
            if len(self._weights) >= self._limit:
                self._weights.clear()
            weights = self._weights[adapter] = _Weights(adapter)
        return weights
