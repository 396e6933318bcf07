"""The Ray Serve deployment ``control``: one replica, the registry behind methods of its own."""

from collections.abc import AsyncIterator
from typing import Any

from ray import serve

from serve_app.adapters.commands import Answer, Command
from serve_app.adapters.report import Report
from serve_app.feed import Update
from serve_app.settings import AppSettings


class ControlReplica:
    """The registry as gateways and replicas call it.

    Args:
        settings: the application's.
        engine: name of the engine deployment, whose replicas probe candidates.
    """

    async def __init__(  # type: ignore[misc]  # Serve awaits it
        self, settings: AppSettings, engine: str = "engine"
    ) -> None:
        raise NotImplementedError

    async def manage(self, command: Command) -> Answer:
        """Do what a gateway asks; refusals are answers too."""
        raise NotImplementedError

    async def follow(self, tenants: bool) -> AsyncIterator[Update]:
        """One whole update, then changes as they come, a beat at least every second."""
        raise NotImplementedError
        yield

    async def revision(self) -> int:
        """The revision in force."""
        raise NotImplementedError

    async def report(self, report: Report) -> None:
        """Take in what a replica holds."""
        raise NotImplementedError

    async def read(self, digest: str, file: str) -> AsyncIterator[bytes]:
        """One of the two files of a content, for replicas on other nodes."""
        raise NotImplementedError
        yield

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Apply declared tenants and adapters in place. Serve calls it."""
        raise NotImplementedError

    async def check_health(self) -> None:
        """Raise when the database does not answer, so that Serve replaces this replica."""
        raise NotImplementedError


ControlDeployment = serve.deployment(
    name="control", num_replicas=1, max_ongoing_requests=100_000, health_check_period_s=2
)(ControlReplica)
