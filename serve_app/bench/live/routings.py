"""The ways to route that are compared, and how a request says which is to place it. Pure."""

from enum import StrEnum


class Routing(StrEnum):
    """Who places a request."""

    OURS = "serve_app"
    MULTIPLEX = "Ray multiplex"
    POWER_OF_TWO = "power of two"
    ROUND_ROBIN = "round robin"


OTHERS = tuple(routing for routing in Routing if routing is not Routing.OURS)
_MARK = "live"


def mark(routing: Routing, number: int) -> str:
    """The request id under which ``routing`` places a request; no two of a run are alike."""
    return f"{_MARK}.{routing.name}.{number}"


def routing_in(request_id: str) -> Routing:
    """The routing a request id asks for; production's own if it asks for none."""
    first, _, rest = request_id.partition(".")
    name = rest.partition(".")[0]
    return Routing[name] if first == _MARK and name in Routing.__members__ else Routing.OURS
