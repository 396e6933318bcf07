"""A simulated replica: an engine, its adapters' memory, and what it tells the gateways."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from serve_app.routing.messages import News
from serve_app.routing.view import Costs, ReplicaView
from serve_app.simulator.engine import Engine
from serve_app.simulator.events import Events
from serve_app.simulator.machine import Machine
from serve_app.simulator.memory import Memory
from serve_app.simulator.request import Request

_SMOOTHING = 0.05


class Replica:
    """Takes requests from gateways and answers them.

    Args:
        on_done: told each request that is complete, with the gateway that sent it.
    """

    def __init__(
        self,
        id_: str,
        machine: Machine,
        events: Events,
        on_done: Callable[[str, Request], None],
    ) -> None:
        self.id = id_
        self.alive = True
        self._machine = machine
        self._events = events
        self._on_done = on_done
        self._gateways: dict[Request, str] = {}
        self._engine = Engine(machine, events, self._done)
        self.memory = Memory(machine, events, self._engine.submit)
        self._costs = machine.costs()

    def send(self, gateway: str, request: Request) -> None:
        """A request arrives from a gateway."""
        self._gateways[request] = gateway
        if request.adapter is None or self.memory.lease(request.adapter, request):
            self._engine.submit(request)

    def stop(self) -> None:
        """It dies; what is sent to it from now on waits in vain."""
        self.alive = False
        self._engine.stopped = True

    def left(self) -> list[tuple[str, Request]]:
        """What it will never answer, with the gateways that sent it."""
        return [(gateway, request) for request, gateway in self._gateways.items()]

    def news(self) -> News:
        """What it tells every gateway now."""
        memory = self.memory
        return News(
            holds=memory.holds(),
            in_flight=dict(Counter(self._gateways.values())),
            capacity=self._machine.max_num_seqs,
            waiting=self._engine.waiting,
            kv_usage=self._engine.kv_usage,
            loading=frozenset(memory.loading),
            active=frozenset(memory.leases),
            max_loras=self._machine.max_loras,
            waiting_tokens=self._engine.waiting_tokens + memory.waiting_tokens(),
            requests=dict(memory.leases),
            costs=self._costs,
        )

    def view(self, adapter: str | None) -> ReplicaView:
        """The whole truth, which no gateway knows."""
        memory, news = self.memory, self.news()
        costs = self._costs
        if adapter is not None:
            costs = replace(costs, stage_s=0.0, disk_s=memory.load_s(adapter))
        return ReplicaView(
            id=self.id,
            outstanding=len(self._gateways),
            capacity=news.capacity,
            holds=news.holds,
            active=news.active,
            loading=dict(memory.loading),
            requests=news.requests,
            max_loras=news.max_loras,
            kv_usage=news.kv_usage,
            waiting=news.waiting,
            waiting_tokens=news.waiting_tokens,
            costs=costs,
        )

    def _done(self, request: Request) -> None:
        gateway = self._gateways.pop(request)
        if request.adapter is not None:
            self.memory.release(request.adapter)
        self._costs = _measured(self._costs, request, self._events.now)
        self._on_done(gateway, request)


def _measured(costs: Costs, request: Request, now: float) -> Costs:
    """With one more request's time in the batch taken into account."""
    if request.first_s is None:
        return costs
    seat_s = now - request.first_s
    return replace(costs, seat_s=costs.seat_s + _SMOOTHING * (seat_s - costs.seat_s))
