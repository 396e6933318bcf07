"""What things take on this replica, as measured of late; gateways place requests by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from serve_app.engine.stays import Witness
from serve_app.routing.view import TYPICAL, Costs

_LATEST_WEIGHS = 0.2
_DOUBLES_S = 60.0
"""In so many seconds the least time a token took is believed to have doubled."""
_MOST_DOUBLINGS = 10.0
TELLING_TOKENS = 64
"""Fewer are computed in one step, which takes its time however few they are."""
LEAST_TOKEN_S = 1e-5
"""No engine computes 100,000 tokens of a prompt a second on one GPU of today, at 8B."""


@dataclass(slots=True, eq=False)
class Running:
    """A call on its way to the engine and in it.

    Attributes:
        tokens: of its prompt.
        since: when it went to the engine, None while its adapter is brought.
        ahead: prompt tokens that were to be computed then, its own included.
        computed_at: when its prompt was computed; of a call that is not streamed, when it should
            have been; None until it is known.
    """

    tokens: int
    since: float | None = None
    ahead: int = 0
    computed_at: float | None = None


class Measures:
    """Follows calls and loads. It is a ``Witness`` of loads that tells another one.

    Args:
        witness: told what this one is told.
        turn_s: how long an adapter keeps its slot while others wait, 0 if for as long as it likes.
        clock: monotonic seconds.
    """

    def __init__(self, witness: Witness, turn_s: float, clock: Callable[[], float]) -> None:
        self._witness = witness
        self._turn_s = turn_s
        self._clock = clock
        self._running: set[Running] = set()
        self._loads = 0
        self._costs = replace(TYPICAL, seat_s=0.0)
        self._token_at: float | None = None

    def costs(self) -> Costs:
        """What things take. A seat costs nothing until the first request has left one: nobody is
        refused for what is not known."""
        seat_s = self._costs.seat_s
        return replace(self._costs, hold_s=min(self._turn_s, seat_s) if self._turn_s else seat_s)

    def waiting_tokens(self) -> int:
        """Prompt tokens that are here and not computed yet."""
        now = self._clock()
        return sum(
            one.tokens for one in self._running if one.computed_at is None or one.computed_at > now
        )

    @contextmanager
    def follow(self, tokens: int) -> Iterator[Running]:
        """A call of so many prompt tokens is here."""
        one = Running(tokens)
        self._running.add(one)
        try:
            yield one
        finally:
            self._running.remove(one)

    def entered(self, one: Running, *, streams: bool) -> None:
        """It goes to the engine."""
        one.since, one.ahead = self._clock(), self.waiting_tokens()
        if not streams:
            one.computed_at = one.since + one.ahead * self._costs.prompt_token_s

    def began(self, one: Running) -> None:
        """The first output of a stream."""
        one.computed_at = self._clock()
        if one.ahead >= TELLING_TOKENS and one.since is not None:
            self._token_took((one.computed_at - one.since) / one.ahead, one.computed_at)

    def ended(self, one: Running, *, streams: bool) -> None:
        """It was answered: a stream since its first output, or all at once."""
        began = one.computed_at if streams else one.since
        if began is not None:
            self._smooth("seat_s", self._clock() - began, first=not self._costs.seat_s)

    def loaded(self, stage_s: float, read_s: float, engine_s: float) -> None:
        self._smooth("stage_s", stage_s, first=not self._loads)
        self._smooth("disk_s", read_s + engine_s, first=not self._loads)
        self._loads += 1
        self._witness.loaded(stage_s, read_s, engine_s)

    def load_failed(self) -> None:
        self._witness.load_failed()

    def evicted(self, reason: str) -> None:
        self._witness.evicted(reason)

    def _token_took(self, token_s: float, now: float) -> None:
        """The least of late: most requests wait for more than prompts, for a slot at least. One
        whose prompt was cached, or reckoned too long, says too little, so each halves what is
        believed at most."""
        if self._token_at is not None:
            doublings = min(_MOST_DOUBLINGS, (now - self._token_at) / _DOUBLES_S)
            before_s = self._costs.prompt_token_s
            token_s = max(before_s / 2, min(token_s, before_s * 2.0**doublings))
        self._token_at = now
        self._costs = replace(self._costs, prompt_token_s=max(LEAST_TOKEN_S, token_s))

    def _smooth(self, name: str, latest: float, *, first: bool) -> None:
        before: float = getattr(self._costs, name)
        smoothed = latest if first else before + _LATEST_WEIGHS * (latest - before)
        self._costs = replace(self._costs, **{name: smoothed})
