"""What a client may be answered while adapters change under it: every state a name was in, from
when its change was asked for until the next was acknowledged."""

import time
from collections import defaultdict
from dataclasses import dataclass

GONE = None
"""The state of a name that means nothing."""


@dataclass
class _State:
    digest: str | None
    asked_at: float
    replaced_at: float = float("inf")


class Ledger:
    """The states of names, by short digest, over time."""

    def __init__(self) -> None:
        self._states: defaultdict[str, list[_State]] = defaultdict(
            lambda: [_State(GONE, float("-inf"))]
        )

    def ask(self, name: str, digest: str | None) -> None:
        """A change is about to be asked for."""
        self._states[name].append(_State(digest, time.monotonic()))

    def acknowledge(self, name: str) -> None:
        """The last change was acknowledged: nothing older may answer what is asked from now on."""
        for state in self._states[name][:-1]:
            state.replaced_at = min(state.replaced_at, time.monotonic())

    def now(self, name: str) -> str | None:
        return self._states[name][-1].digest

    def allowed(self, name: str, began: float, ended: float) -> set[str | None]:
        """What may have answered a request that was resolved between two times."""
        return {
            state.digest
            for state in self._states[name]
            if state.asked_at <= ended and state.replaced_at >= began
        }
