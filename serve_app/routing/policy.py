"""The routing decision: which replica, and why. Pure; the fleet view feeds it, Ray obeys it.

First form: a replica that already holds the adapter and is not overloaded, least loaded first;
otherwise the least loaded replica; among equals the one with fewest adapters, then the adapter's
rendezvous home.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Why a replica was chosen, as ``x-serve-placement`` says it."""

    RESIDENT = "resident"  # it holds the adapter (the base is resident everywhere)
    HOME = "home"  # nobody holds the adapter; this is its home
    SPILL = "spill"  # every holder is overloaded
    COLD = "cold"  # nobody holds the adapter; its home is busier or fuller than this one


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """What a gateway knows of a replica for one adapter.

    Attributes:
        id: the replica's id.
        outstanding: requests on it or on their way to it.
        capacity: requests its engine runs at once (vLLM's max_num_seqs).
        resident: it holds the adapter, or is loading it.
        adapters: how many adapters it holds.
        alive: it has not said that its engine is dead.
    """

    id: str
    outstanding: int
    capacity: int
    resident: bool
    adapters: int = 0
    alive: bool = True

    @property
    def overloaded(self) -> bool:
        return self.outstanding >= self.capacity


@dataclass(frozen=True, slots=True)
class Choice:
    replica: str
    reason: Reason


def rank(adapter: str | None, replicas: Sequence[ReplicaView]) -> list[Choice]:
    """Every replica, best first, each with the reason it would be chosen for.

    Args:
        adapter: the version's name, None for the base.
        replicas: the fleet as this gateway knows it.
    """
    holders = [replica for replica in replicas if replica.resident and replica.alive]
    home = home_of(adapter, replicas) if adapter and not holders else None

    def preference(replica: ReplicaView) -> tuple[bool, bool, int, int, bool, str]:
        warm = replica.resident and not replica.overloaded
        away = replica.id != home
        return (
            not replica.alive,
            not warm,
            replica.outstanding,
            replica.adapters,
            away,
            replica.id,
        )

    def reason(replica: ReplicaView) -> Reason:
        if replica.resident:
            return Reason.RESIDENT
        if holders:
            return Reason.SPILL
        return Reason.HOME if replica.id == home else Reason.COLD

    return [Choice(r.id, reason(r)) for r in sorted(replicas, key=preference)]


def home_of(adapter: str, replicas: Sequence[ReplicaView]) -> str | None:
    """The adapter's home: highest random weight (rendezvous hashing, Thaler & Ravishankar 1998).

    When a replica leaves, only the adapters it was home to move.
    """

    def weight(replica: ReplicaView) -> bytes:
        return hashlib.blake2b(f"{adapter}\0{replica.id}".encode(), digest_size=8).digest()

    alive = [replica for replica in replicas if replica.alive]
    return max(alive, key=weight).id if alive else None
