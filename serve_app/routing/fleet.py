"""A gateway's view of the fleet: what replicas told it, and what it has sent them since.

The router may run in a thread of its own, so every method holds one lock for a few microseconds.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock

from serve_app.routing.books import Booking, Books
from serve_app.routing.homes import Homes
from serve_app.routing.messages import Call, News
from serve_app.routing.policy import TUNED, Choice, Rank, Tuning, explain, least_delay
from serve_app.routing.relief import copy_to, shed_after_s
from serve_app.routing.view import TYPICAL, Costs, ReplicaView

NO_NEWS = News(holds=frozenset(), in_flight={}, capacity=1, alive=False)


@dataclass(slots=True)
class _Heard:
    """A replica's last news, and what has happened there since that they cannot say.

    Attributes:
        served: adapters that have answered from there since.
        loading: when adapters that are being loaded there should be held, by the clock.
    """

    news: News
    costs: Costs
    served: set[str] = field(default_factory=set)
    loading: dict[str, float] = field(default_factory=dict)


class Fleet:
    """Implements ``Placer`` for the calls of one gateway.

    Args:
        gateway: this gateway's id; its own calls are counted from its own books.
        on_change: told the ids of the running replicas whenever they change, from any thread.
        rank: the routing policy; ``least_delay`` unless another is given.
        clock: seconds that never go back.
    """

    def __init__(
        self,
        gateway: str,
        on_change: Callable[[frozenset[str]], None],
        rank: Rank | None = None,
        tuning: Tuning = TUNED,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._gateway = gateway
        self._on_change = on_change
        self._homes = Homes()
        self._rank = rank or least_delay(self._homes, tuning)
        self._tuning = tuning
        self._clock = clock
        self._lock = Lock()
        self._running: frozenset[str] = frozenset()
        self._heard: dict[str, _Heard] = {}
        self._books = Books()
        self._views: dict[str, ReplicaView] = {}

    def replicas_are(self, replicas: frozenset[str]) -> None:
        """Ray's own word on which replicas run."""
        with self._lock:
            if replicas == self._running:
                return
            self._running = replicas
            self._heard = {id_: heard for id_, heard in self._heard.items() if id_ in replicas}
            self._views.clear()
        self._on_change(replicas)

    def heard(self, replica: str, news: News) -> None:
        """A replica told its state."""
        with self._lock:
            if replica not in self._running:
                return
            before = self._heard.get(replica)
            self._books.told(replica)
            self._heard[replica] = _Heard(news, _measured(news))
            self._heard[replica].loading = self._still_loading(replica, before)
            self._views.pop(replica, None)

    def doubt(self, replica: str) -> None:
        """Something of this replica failed: believe nothing it said until it speaks again."""
        with self._lock:
            self._heard.pop(replica, None)
            self._views.pop(replica, None)

    def place(self, call: Call, replicas: tuple[str, ...]) -> list[str]:
        """Rank ``replicas`` for a call and book it on the best at once."""
        version = call.version.name if call.version else None
        now = self._clock()
        with self._lock:
            self._unbook(call)
            views = [self._view(id_) for id_ in replicas]
            order = self._rank(version, views, now)
            if order:
                self._book(
                    call, explain(version, order[0], views, self._homes, now, self._tuning), version
                )
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
            choice = explain(version, chosen, views, self._homes, self._clock(), self._tuning)
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
            if served:
                heard.served.add(booking.version)
            if served or booking.version not in heard.news.holds:
                heard.loading.pop(booking.version, None)

    def copy_of(self, call: Call) -> str | None:
        """The replica that is to load this placed call's adapter too, in the background.

        Whoever asks is taken at its word to have it done.
        """
        if call.version is None or call.choice is None:
            return None
        with self._lock:
            views = [self._view(id_) for id_ in self._running]
            holder, now = self._view(call.choice.replica), self._clock()
            name = call.version.name
            there = copy_to(name, holder, views, self._rank, now, self._tuning)
            if there is None:
                return None
            self._expect(there.id, name, now)
        return there.id

    def shed_after_s(self, call: Call) -> float | None:
        """Seconds after which the call, refused now, may come again; None to take it."""
        version = call.version.name if call.version else None
        with self._lock:
            return shed_after_s(version, self._told_views(), self._tuning)

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

    def full(self, limit_per_replica: int) -> bool:
        """Whether every living replica has at least ``limit_per_replica`` requests."""
        with self._lock:
            living = [view for view in self._told_views() if view.alive]
        return bool(living) and all(view.outstanding >= limit_per_replica for view in living)

    def _told_views(self) -> list[ReplicaView]:
        return [self._view(id_) for id_ in self._heard]

    def _view(self, id_: str) -> ReplicaView:
        view = self._views.get(id_)
        if view is None:
            view = self._views[id_] = self._look(id_)
        return view

    def _look(self, id_: str) -> ReplicaView:
        heard = self._heard.get(id_) or _Heard(NO_NEWS, TYPICAL)
        news, page = heard.news, self._books.page(id_)
        others = sum(n for gateway, n in news.in_flight.items() if gateway != self._gateway)
        requests = {name: max(n, news.requests.get(name, 0)) for name, n in page.by_version.items()}
        return ReplicaView(
            id=id_,
            outstanding=page.calls + others,
            capacity=news.capacity,
            holds=news.holds | heard.served,
            active=news.active | page.by_version.keys(),
            loading=dict(heard.loading),
            requests=requests,
            max_loras=news.max_loras,
            kv_usage=news.kv_usage,
            waiting=news.waiting,
            waiting_tokens=news.waiting_tokens + page.tokens_since,
            costs=heard.costs,
            alive=news.alive,
        )

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
            heard.loading[version] = now + heard.costs.load_s
            self._views.pop(replica, None)

    def _still_loading(self, replica: str, before: _Heard | None) -> dict[str, float]:
        """Loads that the news tell of, and ours that they may be too old to know."""
        heard, now = self._heard[replica], self._clock()
        expected = before.loading if before else {}
        begun = dict.fromkeys(heard.news.loading, now + heard.costs.load_s)
        ours = {n: at for n, at in expected.items() if n not in heard.news.holds and at > now}
        return {**begun, **ours, **{n: expected[n] for n in begun if n in expected}}


def _measured(news: News) -> Costs:
    return replace(news.costs, stage_s=0.0, disk_s=news.load_s) if news.load_s else news.costs
