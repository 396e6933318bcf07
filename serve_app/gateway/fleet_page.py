"""The fleet as an operator sees it: every replica's state, and why each adapter's last requests
went where they did. Pure.
"""

from collections.abc import Callable, Iterable, Mapping

from serve_app.gateway.fleet_schema import (
    AdapterState,
    Expected,
    FleetPage,
    PlacementRecord,
    ReplicaState,
)
from serve_app.routing.homes import Homes
from serve_app.routing.messages import News
from serve_app.routing.placements import Placement
from serve_app.routing.policy import Delay
from serve_app.routing.view import Costs

BASE = "base"
HOMES_NAMED = 3
HOLDERS_NAMED = 32
Latest = Mapping[str | None, tuple[Placement, ...]]
"""The last placements, newest first, by adapter; None is the base."""


def fleet_page(
    gateway: str,
    told: Mapping[str, News],
    latest: Latest,
    now: float,
    limit: int,
    adapter: str | None = None,
    outstanding: int = 0,
) -> FleetPage:
    """The page: adapters asked for last come first, then those that are held and were not.

    Args:
        told: what each replica told last.
        now: wall clock in seconds.
        limit: adapters at most.
        adapter: the only one to show: its name, that of one version of it, or ``base``.
        outstanding: calls of this gateway that are placed and not over.
    """
    wanted = _wanted(adapter)
    held = {name for news in told.values() for name in news.holds} - latest.keys()
    asked = sorted(latest, key=lambda name: max(map(_at, latest[name])), reverse=True)
    names = [name for name in (*asked, *sorted(held)) if wanted(name or BASE)]
    homes = Homes(limit)
    return FleetPage(
        gateway=gateway,
        at=round(now, 3),
        outstanding=outstanding,
        replicas=[_replica(id_, news, wanted) for id_, news in told.items()],
        adapters=[_adapter(name, told, latest.get(name, ()), homes) for name in names[:limit]],
        left_out=max(0, len(names) - limit),
    )


def _wanted(adapter: str | None) -> Callable[[str], bool]:
    """Whether a name is of ``adapter``; every one is if there is none."""
    return lambda name: adapter is None or adapter in (name, name.rpartition("@")[0])


def _replica(id_: str, news: News, wanted: Callable[[str], bool]) -> ReplicaState:
    in_flight = sum(news.in_flight.values())
    costs = news.costs
    return ReplicaState(
        replica=id_,
        alive=news.alive,
        adapters=_sorted(news.holds, wanted),
        loading=_sorted(news.loading, wanted),
        active=_sorted(news.active, wanted),
        slots_used=min(len(news.active), news.max_loras),
        max_loras=news.max_loras,
        in_flight=in_flight,
        capacity=news.capacity,
        waiting=news.waiting,
        waiting_tokens=news.waiting_tokens,
        kv_usage=round(news.kv_usage, 4),
        utilisation=round(max(in_flight / news.capacity, news.kv_usage), 4),
        requests={name: n for name, n in sorted(news.requests.items()) if wanted(name)},
        load_s=round(news.load_s, 4),
        costs=Costs(
            stage_s=round(costs.stage_s, 4),
            disk_s=round(costs.disk_s, 4),
            swap_s=round(costs.swap_s, 4),
            prompt_token_s=round(costs.prompt_token_s, 8),
            hold_s=round(costs.hold_s, 4),
            seat_s=round(costs.seat_s, 4),
        ),
        engine_lists=news.engine_lists,
    )


def _adapter(
    name: str | None, told: Mapping[str, News], placements: Iterable[Placement], homes: Homes
) -> AdapterState:
    alive = {id_: news for id_, news in told.items() if news.alive}
    known = [id_ for id_, news in alive.items() if name is None or name in news.holds]
    loading = [id_ for id_ in known if name in alive[id_].loading]
    holders = [id_ for id_ in known if id_ not in loading]
    return AdapterState(
        adapter=name or BASE,
        homes=homes.order(name, alive)[:HOMES_NAMED] if name is not None else [],
        holders=holders[:HOLDERS_NAMED],
        held_by=len(holders),
        loading=loading[:HOLDERS_NAMED],
        requests=sum(news.requests.get(name, 0) for news in alive.values()) if name else 0,
        placements=[_placement(one) for one in sorted(placements, key=_at, reverse=True)],
    )


def _at(one: Placement) -> float:
    """They are remembered as they end, and shown as they came."""
    return one.at


def _placement(one: Placement) -> PlacementRecord:
    return PlacementRecord(
        at=round(one.at, 3),
        request_id=one.asked.request_id,
        replica=one.choice.replica,
        reason=one.choice.reason.value,
        expected=_expected(one.choice.delay),
        streamed=one.streamed,
        first_byte_s=_rounded(one.asked.first_byte_s),
        cold_load_s=_rounded(one.cold_load_s),
        duration_s=round(one.asked.duration_s, 4),
        outcome=one.asked.outcome,
    )


def _expected(delay: Delay) -> Expected:
    return Expected(
        wait_s=round(delay.total_s - delay.busy_s, 4),
        load_s=round(delay.load_s, 4),
        slot_s=round(delay.slot_s, 4),
        queue_s=round(delay.queue_s, 4),
        busy_s=round(delay.busy_s, 4),
        total_s=round(delay.total_s, 4),
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 4)


def _sorted(names: Iterable[str], wanted: Callable[[str], bool]) -> list[str]:
    return sorted(name for name in names if wanted(name))
