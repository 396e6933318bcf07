"""What a tenant, or one of its keys, may use. None is no limit of its own."""

from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Rates and budgets hold over all gateways together; the ``max_*`` cap a single request, and
    are never above what the application's own settings allow.

    Attributes:
        requests_per_minute: admitted in any 60 seconds.
        tokens_per_minute: prompt and completion tokens in any 60 seconds.
        concurrent_requests: admitted and not over.
        concurrent_adapters: distinct adapters among those.
        tokens_per_day: prompt and completion tokens in a day, which begins at 00:00 UTC.
        tokens_per_month: the same in a calendar month, UTC.
        max_body_bytes, max_tokens, max_n, max_logprobs, max_stop, max_prompts, max_grammar_bytes:
            as in ``settings.GatewaySettings``.
    """

    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent_requests: int | None = None
    concurrent_adapters: int | None = None
    tokens_per_day: int | None = None
    tokens_per_month: int | None = None
    max_body_bytes: int | None = None
    max_tokens: int | None = None
    max_n: int | None = None
    max_logprobs: int | None = None
    max_stop: int | None = None
    max_prompts: int | None = None
    max_grammar_bytes: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Those that are set, by name."""
        named = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


UNLIMITED = Limits()
