"""Reckons what a request will use before it runs, from what its tenant's have used."""

from serve_app.gateway.asked import Asked
from serve_app.routing.messages import Call

COMPLETION = 256
"""Tokens an answer is reckoned at until a tenant's own are known."""
SLOWLY = 16
"""Of what is usual, one answer changes one part in so many."""
_COUNTS = ("max_completion_tokens", "max_tokens", "max_output_tokens")


class Reckoner:
    """Learns how long each tenant's answers are."""

    def __init__(self) -> None:
        self._usual: dict[str, float] = {}

    def reckon(self, asked: Asked, call: Call) -> None:
        """Put down what the request will use, and learn from what it has when it is over."""
        body, tenant = call.body, asked.tenant.id
        most = next((body[field] for field in _COUNTS if isinstance(body.get(field), int)), None)
        usual = self._usual.get(tenant, COMPLETION)
        answer = usual if most is None else min(most, usual)
        asked.tokens = call.prompt_tokens + round(answer) * (body.get("n") or 1)
        asked.held.callback(self._learn, asked)

    def _learn(self, asked: Asked) -> None:
        tokens, tenant = asked.access.completion_tokens, asked.tenant.id
        if tokens:
            usual = self._usual.get(tenant, COMPLETION)
            self._usual[tenant] = usual + (tokens - usual) / SLOWLY
