"""Routing policies of others, from their public descriptions, each as one ``Rank``.

They see the same views as ours does, which are fresher than what most of them have: a gateway's own
calls are in them before any replica tells of them.
"""

from collections.abc import Callable, Sequence
from itertools import count
from random import Random

from serve_app.routing.policy import Rank, totals_s
from serve_app.routing.view import ReplicaView
from serve_app.simulator.demand import Demand
from serve_app.simulator.fleet import Policy, Truth
from serve_app.simulator.ring import Ring

Views = Sequence[ReplicaView]
Clock = Callable[[], float]


def round_robin(_random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """Each replica in its turn."""
    numbers = count()
    return lambda _adapter, views, _now: _only(views[next(numbers) % len(views)])


def power_of_two(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """Of two replicas at random the one with fewer requests (Mitzenmacher, 2001; the default of Ray
    Serve, ``PowerOfTwoChoicesRequestRouter``)."""
    return lambda _adapter, views, _now: _only(_better_of_two(list(views), random))


def least_outstanding(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """The replica with the fewest requests."""
    return lambda _adapter, views, _now: _only(_least(views, lambda v: v.outstanding, random))


def ray_multiplex(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """Ray Serve 2.60, ``MultiplexMixin.apply_multiplex_routing``: of replicas that hold the model
    with room for a request, the better of two; if none, of those with the fewest models; if none
    of them has room, of all. A replica has room below ``max_ongoing_requests``, here its batch."""

    def rank(adapter: str | None, views: Views, _now: float) -> list[ReplicaView]:
        holders = [view for view in views if adapter is None or adapter in view.known]
        fewest = min(len(view.known) for view in views)
        few = [view for view in views if len(view.known) == fewest]
        for candidates in (holders, few, views):
            able = [view for view in candidates if view.outstanding < view.capacity]
            if able:
                return _only(_better_of_two(able, random))
        return _only(_better_of_two(list(views), random))

    return rank


def gateway_api(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """Gateway API inference extension, the reference scheduler's decision tree for latency:
    replicas with at most 128 queued; of those with 99.9% the ones that have the adapter, else the
    ones with a free slot; of those the shortest queues; of those the emptiest KV caches; chance."""

    def rank(adapter: str | None, views: Views, _now: float) -> list[ReplicaView]:
        able = [view for view in views if view.waiting <= 128]
        left = able and (_with_adapter(adapter, able, random) or able)
        for measure in (lambda v: float(v.waiting), lambda v: v.kv_usage):
            left = _lowest_share(left or list(views), measure)
        return _only(random.choice(left))

    return rank


def llm_d(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """llm-d's router with its default profile, every weight 1: ``lora-affinity-scorer`` (1 where
    the adapter is active, 0.8 where a slot is free, 0.6 where it waits, else 0), ``queue-scorer``
    (longest queue 0, shortest 1), ``kv-cache-utilization-scorer`` (1 - usage); highest score."""

    def rank(adapter: str | None, views: Views, _now: float) -> list[ReplicaView]:
        shortest, longest = min(v.waiting for v in views), max(v.waiting for v in views)

        def score(view: ReplicaView) -> float:
            spread = longest - shortest
            queue = (longest - view.waiting) / spread if spread else 1.0
            return -(_affinity(adapter, view) + queue + 1 - view.kv_usage)

        return _only(_least(views, score, random))

    return rank


def kube_ai(_random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """KubeAI's ``PrefixHash``: consistent hashing with bounded loads (Mirrokni et al., 2018), 256
    points a replica on the ring, ``meanLoadFactor`` 125; a full fleet falls back to the first."""
    ring = Ring(points=256)

    def rank(adapter: str | None, views: Views, _now: float) -> list[ReplicaView]:
        by_id = {view.id: view for view in views}
        bound = 1.25 * (sum(view.outstanding for view in views) + 1) / len(views)
        order = [by_id[id_] for id_ in ring.order(adapter or "", frozenset(by_id))]
        return _only(next((v for v in order if v.outstanding <= bound), order[0]))

    return rank


def dynamo(random: Random, _clock: Clock, _truth: Truth) -> Rank:
    """NVIDIA Dynamo's LoRA controller with its defaults (rendezvous, every 3 s): an adapter has as
    many homes as its share of the load makes of all slots, on replicas with slots left; requests go
    to the least busy of them. There the homes that have loaded it come first, which without eager
    loading would leave a hot adapter on its first home for good: here all of them count."""
    demand = Demand()

    def rank(adapter: str | None, views: Views, now: float) -> list[ReplicaView]:
        if adapter is None:
            return _only(_least(views, lambda v: v.outstanding, random))
        homes = demand.homes(adapter, now, {view.id: view.max_loras for view in views})
        mine = [view for view in views if view.id in homes]
        return _only(_least(mine, lambda v: v.outstanding, random))

    return rank


def oracle(_random: Random, _clock: Clock, truth: Truth) -> Rank:
    """Greedy with perfect knowledge: least delay by what is true of every replica this instant."""

    def rank(adapter: str | None, views: Views, now: float) -> list[ReplicaView]:
        true = [truth(view.id, adapter) for view in views]
        totals = totals_s(adapter, true, now)
        ranked = sorted(
            (not view.alive, total, view.id, view)
            for view, total in zip(views, totals, strict=True)
        )
        return [view for *_, view in ranked]

    return rank


OURS = Policy("serve_app", copies=True)
BASELINES = (
    Policy("round robin", round_robin),
    Policy("power of two", power_of_two),
    Policy("least outstanding", least_outstanding),
    Policy("Ray Serve multiplex", ray_multiplex),
    Policy("KubeAI CHWBL 1.25", kube_ai),
    Policy("Dynamo homes", dynamo),
    Policy("GIE decision tree", gateway_api),
    Policy("llm-d LoRA scorer", llm_d),
    Policy("oracle (greedy)", oracle, copies=True),
)

POLICIES = {policy.name: policy for policy in (OURS, *BASELINES)}


def _only(view: ReplicaView) -> list[ReplicaView]:
    return [view]


def _least(views: Views, measure: Callable[[ReplicaView], float], random: Random) -> ReplicaView:
    """The one with the least of something; chance decides among equals."""
    least = min(measure(view) for view in views)
    return random.choice([view for view in views if measure(view) == least])


def _better_of_two(views: list[ReplicaView], random: Random) -> ReplicaView:
    two = random.sample(views, min(2, len(views)))
    return min(two, key=lambda view: view.outstanding)


def _affinity(adapter: str | None, view: ReplicaView) -> float:
    if adapter is None or adapter in view.active:
        return 1.0
    return 0.8 if len(view.active) < view.max_loras else 0.0


def _with_adapter(
    adapter: str | None, views: list[ReplicaView], random: Random
) -> list[ReplicaView]:
    """The LoRA affinity filter; empty if nobody has the adapter or a free slot."""
    active = [view for view in views if adapter is None or adapter in view.active]
    free = [v for v in views if v not in active and len(v.active) < v.max_loras]
    if active and free:
        return active if random.random() < 0.999 else free
    return active or free


def _lowest_share(
    views: list[ReplicaView], measure: Callable[[ReplicaView], float]
) -> list[ReplicaView]:
    """Those in the lowest of as many equal ranges as there are replicas."""
    values = [measure(view) for view in views]
    limit = min(values) + (max(values) - min(values)) / len(values)
    return [view for view, value in zip(views, values, strict=True) if value <= limit]
