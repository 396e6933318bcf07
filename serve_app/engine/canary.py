"""The question a candidate is asked before it goes live, and what its answer must be. Pure."""

import json
from math import isfinite
from typing import Any

from serve_app.adapters.version import Version
from serve_app.errors import AdapterRefused
from serve_app.routing.messages import Call, Operation

QUESTION = {"prompt": [1, 2, 3, 4], "max_tokens": 4, "temperature": 0, "logprobs": 1}
"""Token ids that every vocabulary has."""


def question(version: Version) -> Call:
    """A tiny completion for the candidate. No gateway waits for it."""
    return Call(
        gateway="control",
        number=0,
        request_id=f"probe-{version.short_digest}",
        operation=Operation.COMPLETION,
        body=dict(QUESTION),
        version=version,
    )


def judge(adapter: str, body: bytes) -> None:
    """Whether the candidate may go live.

    Raises:
        AdapterRefused: a token of its answer is not a number's worth: its weights compute NaN.
    """
    for choice in json.loads(body).get("choices", ()):
        for logprob in (choice.get("logprobs") or {}).get("token_logprobs") or ():
            if not _is_finite(logprob):
                raise AdapterRefused(
                    f"adapter {adapter!r} loads, but what it answers is not finite",
                    code="adapter_probe_failed",
                )


def _is_finite(logprob: Any) -> bool:
    return isinstance(logprob, int | float) and isfinite(logprob)
