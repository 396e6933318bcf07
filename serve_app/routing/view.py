"""What a gateway knows of a replica when it decides, and what things take there, in seconds."""

from collections.abc import Mapping, Set
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Costs:
    """What things take on a replica, in seconds, as measured there of late.

    Attributes:
        stage_s: bringing an adapter's files to the replica's node.
        disk_s: reading them into the engine's memory.
        swap_s: putting a held adapter into a LoRA slot.
        prompt_token_s: computing one token of a prompt.
        hold_s: an adapter keeps a slot that others wait for.
        seat_s: a request keeps its place in the engine's batch.
    """

    stage_s: float = 0.5
    disk_s: float = 0.3
    swap_s: float = 0.02
    prompt_token_s: float = 0.0002
    hold_s: float = 0.5
    seat_s: float = 3.0

    @property
    def load_s(self) -> float:
        """A cold load, up to the adapter being held."""
        return self.stage_s + self.disk_s


TYPICAL = Costs()
"""Of a replica that has measured nothing yet."""

EVICTIONS = 2.0
"""A copy more evicts others in its time, which must be loaded again: so many loads. Chosen by
simulation, as the next."""
SHARERS = 2.0
"""With ``n`` adapters a slot, every request takes ``n`` times as long: it is the one that comes who
loses so much, and once more those it shares with."""


@dataclass(frozen=True)
class ReplicaView:
    """What a gateway knows of a replica.

    Attributes:
        outstanding: requests on it or on their way to it.
        capacity: its engine's seats (``max_num_seqs``).
        holds: adapters in its engine's memory, in a slot or not.
        active: adapters that requests there use or wait for.
        loading: adapters being loaded, with the time at which each should be held.
        requests: requests in flight by adapter, as far as known.
        max_loras: its engine's LoRA slots.
        kv_usage: share of its KV cache in use, 0 to 1.
        waiting: requests that were queued in its engine when it last told.
        waiting_tokens: prompt tokens sent to it and not computed yet.
        costs: what things take there.
        alive: it has told, and has not said that its engine is dead.
        known: adapters it would not have to load cold.
        prompts_s: seconds until the prompts sent to it are computed.
        queue_s: seconds until a prompt that comes now is computed: for a seat, and for those
            before it.
        turn_s: seconds until an adapter that is not active there gets a slot.
        share_s: what it costs everybody there that one more shares the slots.
        utilisation: the larger of its shares of seats and of KV cache in use.
        base_s: what a request without an adapter would wait and cost; endless on a dead replica.
        copy_s: what it costs others there that it holds one adapter more.
        stranger_s: what a request for an adapter that it does not know would wait and cost.
    """

    id: str
    outstanding: int = 0
    capacity: int = 1
    holds: Set[str] = frozenset()
    active: Set[str] = frozenset()
    loading: Mapping[str, float] = field(default_factory=dict)
    requests: Mapping[str, int] = field(default_factory=dict)
    max_loras: int = 8
    kv_usage: float = 0.0
    waiting: int = 0
    waiting_tokens: int = 0
    costs: Costs = TYPICAL
    alive: bool = True
    known: Set[str] = field(init=False, compare=False)
    prompts_s: float = field(init=False, compare=False)
    queue_s: float = field(init=False, compare=False)
    turn_s: float = field(init=False, compare=False)
    share_s: float = field(init=False, compare=False)
    utilisation: float = field(init=False, compare=False)
    copy_s: float = field(init=False, compare=False)
    base_s: float = field(init=False, compare=False)
    stranger_s: float = field(init=False, compare=False)

    def __post_init__(self) -> None:
        """Whatever does not depend on the adapter is computed once a view, not once a decision."""
        prompts_s, rounds = self.costs.prompt_token_s * self.waiting_tokens, self._rounds()
        queue_s = self._seat_s() + prompts_s
        turn_s = self.costs.hold_s * rounds
        share_s = SHARERS * self.costs.seat_s * rounds
        load_s = self.costs.load_s
        utilisation = max(self.outstanding / self.capacity, self.kv_usage)
        base_s = queue_s + utilisation**2 if self.alive else float("inf")
        for name, value in (
            ("known", {*self.holds, *self.active, *self.loading}),
            ("prompts_s", prompts_s),
            ("queue_s", queue_s),
            ("turn_s", turn_s),
            ("share_s", share_s),
            ("utilisation", utilisation),
            ("base_s", base_s),
            ("copy_s", EVICTIONS * load_s),
            (
                "stranger_s",
                base_s + turn_s + share_s + (1 + EVICTIONS) * load_s + self.costs.swap_s,
            ),
        ):
            object.__setattr__(self, name, value)

    def _seat_s(self) -> float:
        beyond = max(0, self.outstanding + 1 - self.capacity)
        return self.costs.seat_s * beyond / self.capacity

    def _rounds(self) -> float:
        """How many adapters a slot would have to be shared by, with one more, beyond the first."""
        return max(0, len(self.active) + 1 - self.max_loras) / self.max_loras
