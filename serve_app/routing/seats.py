"""What tenants share: seats in the engines' batches, and turns at LoRA slots. Pure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, auto

from serve_app.routing.messages import News
from serve_app.routing.view import ReplicaView

SPARE = 8
"""A tenant alone may fill so much more than the seats, a part in so many, that none runs dry while
a gateway hears late of those that came free."""


def room(seats: int) -> int:
    """How many requests an engine of so many seats takes at once: half as many again are for
    tenants below their share, who need not wait until others' answers are over. What they take,
    others give back as theirs end."""
    return seats + seats // 2


class Standing(Enum):
    """How a tenant stands among those that are about."""

    ALONE = auto()
    BELOW = auto()  # it has less than its share of seats, and of tokens of late
    ABOVE = auto()


@dataclass(frozen=True, slots=True)
class Seats:
    """What the living replicas have.

    Attributes:
        capacity: places in their batches.
        taken: those that other gateways fill.
        gateways: how many gateways fill any, this one among them.
        backed_up: prompts wait for long on every replica.
    """

    capacity: int
    taken: int = 0
    gateways: int = 1
    backed_up: bool = False

    @property
    def of_others(self) -> int:
        """What counts as taken by other gateways: not more than their part, so that no gateway
        starves because others are quicker to fill what comes free."""
        return min(self.taken, self.capacity - self.capacity // self.gateways)

    @property
    def own(self) -> int:
        """What this gateway may fill, and so what it shares out."""
        return self.capacity - self.of_others

    def most(self, standing: Standing) -> int:
        """How many may be filled for a tenant to enter that stands so."""
        if standing is Standing.BELOW:
            return max(1, room(self.capacity))
        if self.backed_up:
            return self.of_others + 1  # more would wait in an engine, where nobody has a turn
        if standing is Standing.ALONE:
            return self.capacity + max(1, self.capacity // SPARE)
        return max(1, self.capacity)


Fits = Callable[[str | None, Standing], bool]
"""Whether a replica that would answer for an adapter has a seat for a tenant that stands so."""


def anywhere(_adapter: str | None, _standing: Standing) -> bool:
    """All replicas are alike."""
    return True


PROMPTS_S = 0.2
"""Prompts that wait in an engine for longer are enough to keep it busy until its next news. More
are a queue in which nobody has a turn."""


def backed_up(replicas: Iterable[ReplicaView]) -> bool:
    """Whether prompts wait for long on every living replica."""
    return all(view.prompts_s > PROMPTS_S for view in replicas if view.alive)


def to_spare(adapter: str | None, replicas: Iterable[ReplicaView]) -> bool:
    """Whether what nobody waits for takes nothing from anybody: living replicas have half of their
    seats free, no prompts wait for long, and ``adapter`` needs no turn at a slot."""
    alive = [view for view in replicas if view.alive]
    taken, capacity = sum(v.outstanding for v in alive), sum(v.capacity for v in alive)
    return 2 * taken < capacity and not backed_up(alive) and not slot_worth(adapter, alive)


def fits(adapter: str | None, standing: Standing, replicas: Iterable[ReplicaView]) -> bool:
    """Whether a replica that knows ``adapter`` has a seat left; any, if none knows it.

    Engines queue each for itself: seats elsewhere are of no use to who goes where its adapter is.
    """
    known, elsewhere = adapter is None, False
    for view in replicas:
        if not view.alive:
            continue
        has = _has_room(view, standing)
        if adapter is None or adapter in view.known:
            if has:
                return True
            known = True
        elsewhere = elsewhere or has
    return elsewhere and not known


def _has_room(view: ReplicaView, standing: Standing) -> bool:
    if view.outstanding >= Seats(view.capacity).most(standing):
        return False
    return standing is not Standing.ABOVE or view.prompts_s <= PROMPTS_S


def seats_of(news: Iterable[News], gateway: str) -> Seats:
    """Places in the batches of living replicas, and what gateways other than ``gateway`` fill."""
    alive = [one for one in news if one.alive]
    flights = [flight for one in alive for flight in one.in_flight.items() if flight[0] != gateway]
    return Seats(
        capacity=sum(one.capacity for one in alive),
        taken=sum(requests for _, requests in flights),
        gateways=1 + len({other for other, _ in flights}),
    )


def full(limit: int, replicas: Iterable[ReplicaView]) -> bool:
    """Whether there are living replicas, and every one has at least ``limit`` requests."""
    living = False
    for view in replicas:
        if view.alive and view.outstanding < limit:
            return False
        living = living or view.alive
    return living


def slot_worth(adapter: str | None, replicas: Iterable[ReplicaView]) -> float:
    """How many requests are kept from being served by the turn ``adapter`` needs at a slot.

    It needs none where it is active or a slot is free. Elsewhere it takes as many seats as there
    are to a slot, for as long as a turn is.
    """
    least = float("inf")
    for view in replicas:
        if not view.alive:
            continue
        if adapter is None or adapter in view.active or not view.turn_s:
            return 0.0
        seats = view.capacity / view.max_loras
        least = min(least, seats * view.costs.hold_s / view.costs.seat_s)
    return least if least < float("inf") else 0.0
