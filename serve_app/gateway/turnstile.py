"""Where requests go on to the fleet, or are told to come again."""

from math import ceil

from serve_app.errors import Overloaded
from serve_app.gateway.asked import Asked
from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import Call
from serve_app.settings import GatewaySettings
from serve_app.telemetry.metrics import GatewayMetrics


class Turnstile:
    """Lets through what the fleet has room for."""

    def __init__(self, fleet: Fleet, settings: GatewaySettings, metrics: GatewayMetrics) -> None:
        self._fleet = fleet
        self._settings = settings
        self._metrics = metrics

    async def enter(self, _asked: Asked, call: Call) -> None:
        """Refuse what would wait for longer than it should, wherever it went.

        Raises:
            Overloaded: so.
        """
        fleet = self._fleet
        if not fleet.answering():
            raise Overloaded("No replica is ready; try again.", retry_after_s=2)
        if fleet.full(self._settings.max_outstanding_per_replica):
            raise Overloaded("Every replica is busy; try again.", retry_after_s=1)
        after_s = fleet.shed_after_s(call)
        if after_s is not None:
            self._metrics.shed()
            raise Overloaded("Every replica is busy; try again.", retry_after_s=ceil(after_s))
