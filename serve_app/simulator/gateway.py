"""A simulated gateway: production's own view of the fleet, over calls that carry no text."""

from collections.abc import Callable
from itertools import count

from serve_app.adapters.version import Version
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call, News, Operation
from serve_app.routing.policy import Rank, Tuning
from serve_app.simulator.replica import Replica
from serve_app.simulator.request import Request


def version(number: int) -> Version:
    """Adapter ``number`` of a simulation."""
    return Version(f"adapter-{number}", 1, f"{number:064x}"[::-1], rank=16, size_bytes=1)


class Gateway:
    """Places requests on replicas.

    Args:
        replicas: those that run, by id; kept up to date by whoever starts and kills them.
        rank: a routing policy, None for production's.
        copies: whether hot adapters are copied in the background.
        shedding: whether requests that would wait too long are refused.
    """

    def __init__(
        self,
        id_: str,
        replicas: dict[str, Replica],
        clock: Callable[[], float],
        rank: Rank | None,
        *,
        copies: bool,
        shedding: bool,
        tuning: Tuning,
    ) -> None:
        self.id = id_
        self._replicas = replicas
        copy = self._copy if copies else None
        self.fleet = Fleet(id_, lambda _ids: None, copy, rank, tuning, clock)
        self._shedding = shedding
        self._numbers = count()
        self._calls: dict[Request, Call] = {}
        self._versions: dict[int, Version] = {}
        self._ids: tuple[str, ...] = ()

    def replicas_are(self, ids: tuple[str, ...]) -> None:
        """These run, as far as is known."""
        self._ids = ids
        self.fleet.replicas_are(frozenset(ids))

    def heard(self, replica: str, news: News) -> None:
        """A replica told its state."""
        self.fleet.heard(replica, news)

    def take(self, request: Request) -> str | None:
        """Send a request on its way; returns the replica, None if it is refused."""
        call = self._call(request)
        if self._shedding and self.fleet.shed_after_s(call) is not None:
            request.shed = True
            return None
        return self._send(request, call)

    def again(self, request: Request) -> str:
        """Its replica died before it answered."""
        self._over(request, served=False)
        return self._send(request, self._call(request))

    def done(self, request: Request) -> None:
        """It is complete."""
        self._over(request, served=True)

    def lost(self, request: Request) -> None:
        """Its replica died in the midst of the answer."""
        request.lost = True
        self._over(request, served=False)

    def _call(self, request: Request) -> Call:
        number, arrival = next(self._numbers), request.arrival
        named = None if arrival.adapter is None else self._version(arrival.adapter)
        return Call(
            self.id,
            number,
            "",
            Operation.COMPLETION,
            {},
            named,
            self.fleet,
            prompt_tokens=arrival.prompt,
        )

    def _send(self, request: Request, call: Call) -> str:
        self._calls[request] = call
        chosen = self.fleet.place(call, self._ids)[0]
        self._replicas[chosen].send(self.id, request)
        return chosen

    def _copy(self, version: Version, replica: str) -> None:
        self._replicas[replica].memory.fetch(version.name)

    def _over(self, request: Request, *, served: bool) -> None:
        self.fleet.release(self._calls.pop(request), served=served)

    def _version(self, number: int) -> Version:
        found = self._versions.get(number)
        if found is None:
            found = self._versions[number] = version(number)
        return found
