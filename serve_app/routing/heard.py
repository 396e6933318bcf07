"""What one replica has told, and what has happened there since that its news cannot say yet."""

from dataclasses import dataclass, field, replace
from typing import Self

from serve_app.routing.books import Page
from serve_app.routing.messages import News
from serve_app.routing.view import Costs, ReplicaView

NO_NEWS = News(holds=frozenset(), in_flight={}, capacity=256, alive=False)


def believable(news: News, measured: Costs | None) -> News:
    """News whose costs of a load are measured: by the replica itself, else by another one.

    A replica that has loaded nothing yet would otherwise be believed to be as slow as is typical,
    and beside faster ones never be given a load to measure.
    """
    if news.load_s or measured is None:
        return news
    costs = replace(news.costs, stage_s=measured.stage_s, disk_s=measured.disk_s)
    return replace(news, costs=costs)


@dataclass(slots=True)
class Heard:
    """A replica's last news.

    Attributes:
        served: adapters that have answered from there since.
        loading: when adapters that are being loaded there should be held, by the clock.
    """

    news: News = NO_NEWS
    served: set[str] = field(default_factory=set)
    loading: dict[str, float] = field(default_factory=dict)

    @classmethod
    def after(cls, before: Self | None, news: News, now: float) -> Self:
        """Fresh news, and the loads we asked for that they may be too old to know."""
        expected = before.loading if before else {}
        begun = {n: expected.get(n, now + news.costs.load_s) for n in news.loading}
        ours = {n: at for n, at in expected.items() if n not in news.holds and at > now}
        return cls(news, loading={**ours, **begun})

    def expect(self, version: str, now: float) -> None:
        """A load of ``version`` begins there because we ask for it."""
        self.loading[version] = now + self.news.costs.load_s

    def over(self, version: str, *, served: bool) -> None:
        """A call for ``version`` is over there."""
        if served:
            self.served.add(version)
        if served or version not in self.news.holds:
            self.loading.pop(version, None)

    def view(self, id_: str, page: Page, gateway: str) -> ReplicaView:
        """As the policy sees it, with the calls of ``gateway`` from its own ``page``."""
        news = self.news
        others = sum(n for other, n in news.in_flight.items() if other != gateway)
        requests = {name: max(n, news.requests.get(name, 0)) for name, n in page.by_version.items()}
        return ReplicaView(
            id=id_,
            outstanding=page.calls + others,
            capacity=news.capacity,
            holds=news.holds | self.served,
            active=news.active | page.by_version.keys(),
            loading=dict(self.loading),
            requests=requests,
            max_loras=news.max_loras,
            kv_usage=news.kv_usage,
            waiting=news.waiting,
            waiting_tokens=news.waiting_tokens + page.tokens_since,
            costs=news.costs,
            alive=news.alive,
        )
