"""A gateway's view of the fleet: what replicas told it, and what it has sent them since.

The router may run in a thread of its own, so every method holds one lock for a few microseconds.
"""

from collections import Counter
from collections.abc import Callable
from threading import Lock

from serve_app.routing.messages import Call, News
from serve_app.routing.policy import Choice, ReplicaView, rank

NO_NEWS = News(holds=frozenset(), in_flight={}, capacity=1, alive=False)


class Fleet:
    """Implements ``Placer`` for the calls of one gateway.

    Args:
        gateway: this gateway's id; its own calls are counted from its own books.
        on_change: told the ids of the running replicas whenever they change, from any thread.
    """

    def __init__(self, gateway: str, on_change: Callable[[frozenset[str]], None]) -> None:
        self._gateway = gateway
        self._on_change = on_change
        self._lock = Lock()
        self._running: frozenset[str] = frozenset()
        self._news: dict[str, News] = {}
        self._booked: dict[int, tuple[str, str | None]] = {}
        self._mine: Counter[str] = Counter()
        self._mine_by_version: Counter[tuple[str, str | None]] = Counter()
        self._served: dict[str, set[str]] = {}

    def replicas_are(self, replicas: frozenset[str]) -> None:
        """Ray's own word on which replicas run."""
        with self._lock:
            if replicas == self._running:
                return
            self._running = replicas
            self._news = {id_: news for id_, news in self._news.items() if id_ in replicas}
        self._on_change(replicas)

    def heard(self, replica: str, news: News) -> None:
        """A replica told its state."""
        with self._lock:
            if replica in self._running:
                self._news[replica] = news
                self._served.pop(replica, None)

    def doubt(self, replica: str) -> None:
        """Something of this replica failed: believe nothing it said until it speaks again."""
        with self._lock:
            self._news.pop(replica, None)
            self._served.pop(replica, None)

    def place(self, call: Call, replicas: tuple[str, ...]) -> list[str]:
        """Rank ``replicas`` for a call and book it on the best at once."""
        version = call.version.name if call.version else None
        with self._lock:
            self._unbook(call)
            choices = rank(version, [self._view(id_, version) for id_ in replicas])
            if choices:
                self._book(call, choices[0], version)
        return [choice.replica for choice in choices]

    def routed(self, call: Call, replica: str) -> None:
        """The call went to ``replica``, which Ray may have chosen against the ranking."""
        if call.choice is not None and call.choice.replica == replica:
            return
        version = call.version.name if call.version else None
        with self._lock:
            self._unbook(call)
            everybody = self._running | {replica}
            choices = rank(version, [self._view(id_, version) for id_ in everybody])
            (choice,) = [choice for choice in choices if choice.replica == replica]
            self._book(call, choice, version)

    def release(self, call: Call, *, served: bool) -> None:
        """The call is over. May be called more than once.

        Args:
            served: its adapter answered, so the replica holds it, whatever older news say.
        """
        with self._lock:
            call.over = True
            booked = self._unbook(call)
            if booked is not None and booked[1] is not None and served:
                self._served.setdefault(booked[0], set()).add(booked[1])

    def outstanding(self) -> int:
        """Calls of this gateway that are placed and not over."""
        return len(self._booked)

    def answering(self) -> int:
        """Replicas that have told they are alive."""
        with self._lock:
            return sum(news.alive for news in self._news.values())

    def told(self) -> dict[str, News]:
        """What each running replica told last, by its id; ``NO_NEWS`` for one not heard yet."""
        with self._lock:
            return {id_: self._news.get(id_, NO_NEWS) for id_ in sorted(self._running)}

    def full(self, limit_per_replica: int) -> bool:
        """Whether every living replica has at least ``limit_per_replica`` requests."""
        with self._lock:
            views = [self._view(id_, None) for id_ in self._news]
        living = [view for view in views if view.alive]
        return bool(living) and all(view.outstanding >= limit_per_replica for view in living)

    def _view(self, id_: str, version: str | None) -> ReplicaView:
        news = self._news.get(id_, NO_NEWS)
        others = sum(n for gateway, n in news.in_flight.items() if gateway != self._gateway)
        holds = news.holds | self._served.get(id_, set())
        resident = version is None or version in holds or self._mine_by_version[id_, version] > 0
        return ReplicaView(
            id=id_,
            outstanding=self._mine[id_] + others,
            capacity=news.capacity,
            resident=resident,
            adapters=len(holds),
            alive=news.alive and id_ in self._news,
        )

    def _book(self, call: Call, choice: Choice, version: str | None) -> None:
        if call.over:
            return  # the router was still at work on it when its client left
        call.choice = choice
        self._booked[call.number] = (choice.replica, version)
        self._mine[choice.replica] += 1
        self._mine_by_version[choice.replica, version] += 1

    def _unbook(self, call: Call) -> tuple[str, str | None] | None:
        booked = self._booked.pop(call.number, None)
        if booked is None:
            return None
        replica, _version = booked
        self._mine[replica] -= 1
        self._mine_by_version[booked] -= 1
        if not self._mine_by_version[booked]:
            del self._mine_by_version[booked]
        return booked
