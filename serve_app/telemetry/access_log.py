"""One JSON line a request: who, what, where, how long. Never a prompt, an answer or a key."""

import logging
from dataclasses import dataclass, fields

from serve_app.errors import ClientTooSlow
from serve_app.experiments.assignment import Assigned
from serve_app.routing.messages import Usage

_GOOD = ("ok", "client_gone", ClientTooSlow.code)

CLIENT_GONE = 499
"""Status of a request whose client left before any was sent, as nginx has it."""

LOGGER = logging.getLogger("ray.serve")
"""Serve's logger, so that lines land in Serve's log files and in the dashboard."""


@dataclass(slots=True)
class Access:
    """What is known of a request when it is over. Times in seconds; 499 if no status was sent.

    Attributes:
        finish: why the answer ended, in OpenAI's words.
        assigned: the arm it had of an experiment; of it, the log has the label alone.
        answer: of a shadow; never in the log.
    """

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
    finish: str = ""
    streamed: bool = False
    assigned: Assigned | None = None
    answer: str = ""

    def used(self, usage: Usage) -> None:
        """What the answer has taken, and why it ended."""
        self.prompt_tokens, self.completion_tokens = usage.prompt_tokens, usage.completion_tokens
        self.cached_tokens, self.finish = usage.cached_tokens, usage.finish

    @property
    def outcome(self) -> str:
        """``ok``, ``client_gone``, or the code of the error."""
        if self.error:
            return self.error
        return (
            "client_gone" if self.status == CLIENT_GONE else "ok" if self.status < 400 else "error"
        )

    @property
    def failed(self) -> bool:
        """Whether the answer failed, in whole or half-way, through no fault of the client."""
        return self.status >= 500 or (self.status == 200 and self.outcome not in _GOOD)


_UNTOLD = ("assigned", "answer")
_TOLD = tuple(field.name for field in fields(Access) if field.name not in _UNTOLD)


def write(access: Access) -> None:
    """Log a finished request."""
    told = {name: getattr(access, name) for name in _TOLD}
    told["arm"] = access.assigned.label if access.assigned else None
    LOGGER.info("access", extra={"access": told})
