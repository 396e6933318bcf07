"""A whole simulated fleet under a workload: gateways, replicas, news that come late, deaths."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from random import Random

from serve_app.routing.messages import News
from serve_app.routing.policy import Rank, Tuning
from serve_app.routing.view import ReplicaView
from serve_app.simulator.events import Events
from serve_app.simulator.gateway import Gateway, Rules, version
from serve_app.simulator.machine import GPU, Machine
from serve_app.simulator.replica import Replica
from serve_app.simulator.request import Arrival, Request

DRAIN_S = 60.0
AT_THE_GOAL = Tuning(shed_above_s=1.0)
"""Refuse what would miss the first token's goal, under every policy."""


@dataclass(frozen=True, slots=True)
class Death:
    """A replica dies, and another takes its place.

    Attributes:
        at_s: when.
        index: which of the first replicas, from 0.
        back_after_s: when the new one, which holds nothing, is there.
    """

    at_s: float
    index: int
    back_after_s: float = 45.0


@dataclass(frozen=True, slots=True)
class Setup:
    """A fleet.

    Attributes:
        replicas: how many there are.
        gateways: how many there are; they know nothing of each other.
        news_s: seconds between two news of a replica.
        news_age_s: how old news are when they arrive.
        death_known_s: seconds until gateways notice that a replica died.
        shedding: refuse requests that would wait too long.
        turns: what engines have no seat for waits at the gateways, where tenants take turns.
        weights: of tenants, by number; 1 of those that are not named.
    """

    machine: Machine = GPU
    replicas: int = 16
    gateways: int = 2
    news_s: float = 0.2
    news_age_s: float = 0.0
    death_known_s: float = 0.5
    deaths: tuple[Death, ...] = ()
    shedding: bool = True
    turns: bool = True
    weights: Mapping[int, float] = field(default_factory=dict)


Truth = Callable[[str, str | None], ReplicaView]
"""A replica's state as it is, by its id, as seen by a request for an adapter."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A routing policy as a simulation runs it.

    Attributes:
        make: a gateway's own instance, given its source of chance, the clock and the truth; None is
            production's policy.
        copies: hot adapters are copied in the background.
    """

    name: str
    make: Callable[[Random, Callable[[], float], Truth], Rank] | None = None
    copies: bool = False
    tuning: Tuning = AT_THE_GOAL


@dataclass(slots=True)
class Trail:
    """What a simulation leaves behind.

    Attributes:
        requests: all of them, in the order they came.
        loads: adapters loaded, by replica.
        outstanding: calls that gateways still had booked, seated or waiting at the end.
    """

    requests: list[Request] = field(default_factory=list)
    loads: Mapping[str, int] = field(default_factory=dict)
    outstanding: int = 0


def simulate(setup: Setup, arrivals: Sequence[Arrival], policy: Policy, seed: int) -> Trail:
    """Run ``arrivals``, which are in the order of their times, through a fleet.

    The same arguments give the same trail, on every machine.
    """
    return Twin(setup, policy, seed).run(arrivals)


class Twin:
    """A fleet that can be run once.

    Attributes:
        events: its clock, on which whoever drives it may have things done.
        running: the replicas that take requests, the oldest first.
    """

    def __init__(self, setup: Setup, policy: Policy, seed: int) -> None:
        self._setup = setup
        self.events = Events()
        self._until_s = DRAIN_S
        self._numbers = count()
        self._all: dict[str, Replica] = {}
        self._random = Random(seed)
        self._gateways = [self._gateway(f"g{n}", policy) for n in range(setup.gateways)]
        self._by_id = {gateway.id: gateway for gateway in self._gateways}
        self.running: list[Replica] = [self._start() for _ in range(setup.replicas)]
        self._names: dict[int, str] = {}

    def run(self, arrivals: Sequence[Arrival]) -> Trail:
        """Have all of ``arrivals`` answered, and see what became of them."""
        trail = Trail()
        self._until_s = (arrivals[-1].at_s if arrivals else 0.0) + DRAIN_S
        self._tell_who_runs()
        for replica in self.running:
            self._tell_regularly(replica)
        for death in self._setup.deaths:
            self.events.at(death.at_s, partial(self._kill, death))
        self._arrive(iter(arrivals), trail)
        self.events.run(self._until_s)
        trail.loads = {id_: replica.memory.loads for id_, replica in self._all.items()}
        trail.outstanding = sum(gateway.outstanding() for gateway in self._gateways)
        return trail

    def add(self) -> None:
        """A new replica, which holds nothing, takes requests from now on."""
        replica = self._start()
        self.running.append(replica)
        self._tell_who_runs()
        self._tell_regularly(replica)

    def retire(self, replica: Replica) -> None:
        """It gets no more requests, and answers those it has."""
        self.running.remove(replica)
        self._tell_who_runs()

    def _gateway(self, id_: str, policy: Policy) -> Gateway:
        setup, random = self._setup, Random(self._random.random())
        rank = policy.make(random, self._now, self._truth) if policy.make else None
        rules = Rules(policy.tuning, policy.copies, setup.shedding, setup.turns, setup.weights)
        return Gateway(id_, self._all, self.events, rank, rules)

    def _now(self) -> float:
        return self.events.now

    def _truth(self, replica: str, adapter: str | None) -> ReplicaView:
        return self._all[replica].view(adapter)

    def _start(self) -> Replica:
        id_ = f"r{next(self._numbers)}"
        replica = Replica(id_, self._setup.machine, self.events, self._done)
        self._all[id_] = replica
        return replica

    def _arrive(self, arrivals: Iterator[Arrival], trail: Trail) -> None:
        """The next request comes, and has the one after it come in its time."""
        arrival = next(arrivals, None)
        if arrival is None:
            return
        self.events.at(arrival.at_s, partial(self._take, arrival, arrivals, trail))

    def _take(self, arrival: Arrival, arrivals: Iterator[Arrival], trail: Trail) -> None:
        request = Request(arrival, self._name(arrival.adapter))
        trail.requests.append(request)
        self._random.choice(self._gateways).take(request)
        self._arrive(arrivals, trail)

    def _name(self, adapter: int | None) -> str | None:
        if adapter is None:
            return None
        if adapter not in self._names:
            self._names[adapter] = version(adapter).name
        return self._names[adapter]

    def _done(self, gateway: str, request: Request) -> None:
        self._by_id[gateway].done(request)

    def _tell_who_runs(self) -> None:
        ids = tuple(replica.id for replica in self.running)
        for gateway in self._gateways:
            gateway.replicas_are(ids)

    def _tell_regularly(self, replica: Replica) -> None:
        if not replica.alive or self.events.now > self._until_s:
            return
        news = replica.news()
        arrive_s = self.events.now + self._setup.news_age_s
        self.events.at(arrive_s, lambda: self._hear(replica.id, news))
        again_s = self.events.now + self._setup.news_s
        self.events.at(again_s, partial(self._tell_regularly, replica))

    def _hear(self, replica: str, news: News) -> None:
        for gateway in self._gateways:
            gateway.heard(replica, news)

    def _kill(self, death: Death) -> None:
        replica = self.running[death.index]
        replica.stop()
        known_s = self.events.now + self._setup.death_known_s
        self.events.at(known_s, lambda: self._notice(replica))
        self.events.at(self.events.now + death.back_after_s, self.add)

    def _notice(self, replica: Replica) -> None:
        self.retire(replica)
        for gateway, request in replica.left():
            if request.first_s is None:
                self._by_id[gateway].again(request)
            else:
                self._by_id[gateway].lost(request)
