"""One JSON line a request: who, what, where, how long. Never a prompt, an answer or a key."""

import logging
from dataclasses import asdict, dataclass

LOGGER = logging.getLogger("ray.serve")
"""Serve's logger, so that lines land in Serve's log files and in the dashboard."""


@dataclass(slots=True)
class Access:
    """What is known of a request when it is over. Times in seconds; 499 if no status was sent."""

    request_id: str
    path: str
    status: int
    tenant: str | None = None
    key: str | None = None
    operation: str | None = None
    adapter: str | None = None
    version: int | None = None
    replica: str | None = None
    placement: str | None = None
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    first_byte_s: float | None = None
    duration_s: float = 0.0
    error: str | None = None

    @property
    def outcome(self) -> str:
        """``ok``, ``client_gone``, or the code of the error."""
        if self.error:
            return self.error
        return "client_gone" if self.status == 499 else "ok" if self.status < 400 else "error"


def write(access: Access) -> None:
    """Log a finished request."""
    LOGGER.info("access", extra={"access": asdict(access)})
