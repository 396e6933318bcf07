"""A gateway's view of the fleet: what replicas told it, and what it has sent them since.

The router may run in a thread of its own, so every method holds one lock for a few microseconds.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from threading import Lock

from serve_app.adapters.version import Version
from serve_app.routing import seats
from serve_app.routing.books import Booking, Books
from serve_app.routing.heard import NO_NEWS, Heard, believable
from serve_app.routing.homes import Homes
from serve_app.routing.messages import Call, News
from serve_app.routing.newcomers import Newcomers, new_home
from serve_app.routing.policy import TUNED, Choice, Rank, Tuning, explain, least_delay
from serve_app.routing.relief import copy_to, is_hot, shed_after_s
from serve_app.routing.seats import Seats, Standing
from serve_app.routing.view import Costs, ReplicaView

Copier = Callable[[Version, str], None]
"""Has a version loaded by a further replica, by its id, in the background; from any thread."""


class Fleet:
    """Implements ``Placer`` for the calls of one gateway.

    Args:
        gateway: this gateway's id; its own calls are counted from its own books.
        on_change: told the ids of the running replicas whenever they change, from any thread.
        copy: brings copies of adapters to further replicas; None if there are to be none.
        rank: the routing policy; ``least_delay`` unless another is given.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        gateway: str,
        on_change: Callable[[frozenset[str]], None],
        copy: Copier | None = None,
        rank: Rank | None = None,
        tuning: Tuning = TUNED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._on_change = on_change
        self._copy = copy
        self._homes = Homes()
        self._rank = rank or least_delay(self._homes, tuning)
        self._tuning = tuning
        self._clock = clock
        self._lock = Lock()
        self._running: frozenset[str] = frozenset()
        self._heard: dict[str, Heard] = {}
        self._newcomers = Newcomers(tuning.new_replica_s)
        self._books = Books()
        self._measured: Costs | None = None  # by whichever replica told last of a load
        self._views: dict[str, ReplicaView] = {}
        self._seats: Seats | None = None

    def replicas_are(self, replicas: frozenset[str]) -> None:
        """Ray's own word on which replicas run."""
        with self._lock:
            if replicas == self._running:
                return
            self._newcomers.came(replicas - self._running, self._clock())
            if self._running - replicas:
                self._homes.forget()
            self._running = replicas
            self._heard = {id_: heard for id_, heard in self._heard.items() if id_ in replicas}
            self._views.clear()
            self._seats = None
        self._on_change(replicas)

    def heard(self, replica: str, news: News) -> None:
        """A replica told its state."""
        with self._lock:
            if replica not in self._running:
                return
            if news.load_s:
                self._measured = news.costs
            news, before = believable(news, self._measured), self._heard.get(replica)
            self._books.told(replica)
            self._heard[replica] = Heard.after(before, news, self._clock())
            self._views.pop(replica, None)
            self._seats = None

    def doubt(self, replica: str) -> None:
        """Something of this replica failed: believe nothing it said until it speaks again."""
        with self._lock:
            self._heard.pop(replica, None)
            self._views.pop(replica, None)
            self._seats = None

    def place(self, call: Call, replicas: tuple[str, ...]) -> list[str]:
        """Rank ``replicas`` for a call and book it on the best at once."""
        name = call.version.name if call.version else None
        now = self._clock()
        with self._lock:
            self._unbook(call)
            seen = self._views
            views = [seen.get(id_) or self._view(id_) for id_ in replicas]
            order = self._rank(name, views, now)
            if order:
                choice = explain(name, order[0], views, self._homes, now)
                self._book(call, choice, name)
            there = self._copy_to(call, replicas)
        if there is not None and call.version is not None and self._copy is not None:
            self._copy(call.version, there)
        return [view.id for view in order]

    def routed(self, call: Call, replica: str) -> None:
        """The call went to ``replica``, which Ray may have chosen against the ranking."""
        if call.choice is not None and call.choice.replica == replica:
            return
        version = call.version.name if call.version else None
        with self._lock:
            self._unbook(call)
            views = [self._view(id_) for id_ in self._running | {replica}]
            chosen = self._view(replica)
            choice = explain(version, chosen, views, self._homes, self._clock())
            self._book(call, choice, version)

    def release(self, call: Call, *, served: bool) -> None:
        """The call is over. May be called more than once.

        Args:
            served: its adapter answered, so the replica holds it, whatever older news say.
        """
        with self._lock:
            call.over = True
            booking = self._unbook(call)
            heard = self._heard.get(booking.replica) if booking is not None else None
            if booking is None or booking.version is None or heard is None:
                return
            if served or booking.version not in self._books.page(booking.replica).by_version:
                heard.over(booking.version, served=served)

    def prefetch(self, version: Version) -> str | None:
        """The replica that is to load ``version`` because a request for it is on its way here.

        Whoever asks has it done. None if a replica holds it or loads it already.
        """
        with self._lock:
            views = list(self._told_views())
            if any(view.alive and version.name in view.known for view in views):
                return None
            now = self._clock()
            order = self._rank(version.name, views, now)
            if not order or not order[0].alive:
                return None
            self._expect(order[0].id, version.name, now)
        return order[0].id

    def shed_after_s(self, call: Call) -> float | None:
        """Seconds after which the call, refused now, may come again; None to take it."""
        version = call.version.name if call.version else None
        with self._lock:
            return shed_after_s(version, self._told_views(), self._tuning)

    def seats(self) -> Seats:
        """Places in the batches of living replicas, and whether prompts are backed up there."""
        with self._lock:
            if self._seats is None:
                news = (one.news for one in self._heard.values())
                self._seats = seats.seats_of(news, self._gateway)
            return replace(self._seats, backed_up=seats.backed_up(self._told_views()))

    def fits(self, adapter: str | None, standing: Standing) -> bool:
        """Whether a replica that would answer for ``adapter`` has a seat left."""
        with self._lock:
            return seats.fits(adapter, standing, self._told_views())

    def slot_worth(self, call: Call) -> float:
        """How many requests the turn at a LoRA slot is worth that the call needs."""
        version = call.version.name if call.version else None
        with self._lock:
            return seats.slot_worth(version, self._told_views())

    def outstanding(self) -> int:
        """Calls of this gateway that are placed and not over."""
        return len(self._books)

    def answering(self) -> int:
        """Replicas that have told they are alive."""
        with self._lock:
            return sum(heard.news.alive for heard in self._heard.values())

    def told(self) -> dict[str, News]:
        """What each running replica told last, by its id; ``NO_NEWS`` for one not heard yet."""
        with self._lock:
            heard = {id_: self._heard.get(id_) for id_ in sorted(self._running)}
        return {id_: one.news if one else NO_NEWS for id_, one in heard.items()}

    def is_(self, so: Callable[[Iterator[ReplicaView]], bool]) -> bool:
        """Whether something holds of the replicas as they have told, such as ``seats.full``."""
        with self._lock:
            return so(self._told_views())

    def _told_views(self) -> Iterator[ReplicaView]:
        """One after another, for most who ask need but the first."""
        return (self._view(id_) for id_ in self._heard)

    def _view(self, id_: str) -> ReplicaView:
        view = self._views.get(id_)
        if view is None:
            heard = self._heard.get(id_) or Heard()
            view = self._views[id_] = heard.view(id_, self._books.page(id_), self._gateway)
        return view

    def _copy_to(self, call: Call, replicas: tuple[str, ...]) -> str | None:
        """The replica that is to load this placed call's adapter too."""
        if self._copy is None or call.version is None or call.choice is None:
            return None
        name, chosen, now = call.version.name, call.choice.replica, self._clock()
        hot, new = is_hot(name, self._view(chosen), self._tuning), self._newcomers.at(now)
        if not hot and not new:
            return None
        views = [self._view(id_) for id_ in replicas]
        there = copy_to(name, views, self._rank, now, self._tuning) if hot else None
        there = there or new_home(name, chosen, views, self._homes, new)
        if there is None:
            return None
        self._expect(there.id, name, now)
        return there.id

    def _book(self, call: Call, choice: Choice, version: str | None) -> None:
        if call.over:
            return  # the router was still at work on it when its client left
        call.choice = choice
        self._books.book(call.number, Booking(choice.replica, version), call.prompt_tokens)
        if version is not None and version not in self._view(choice.replica).known:
            self._expect(choice.replica, version, self._clock())
        self._views.pop(choice.replica, None)

    def _unbook(self, call: Call) -> Booking | None:
        booking = self._books.unbook(call.number)
        if booking is not None:
            self._views.pop(booking.replica, None)
        return booking

    def _expect(self, replica: str, version: str, now: float) -> None:
        """A load of ``version`` begins there because we ask for it."""
        heard = self._heard.get(replica)
        if heard is not None:
            heard.expect(version, now)
            self._views.pop(replica, None)
