"""What gateways and replicas say to each other. Plain data, pickled by Ray.

A gateway sends a ``Call`` and gets one ``Reply``; a streamed answer travels on the token bus, one
``BusMessage`` for all of the gateway's requests on that replica at a time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from serve_app.adapters.version import Version
from serve_app.routing.policy import Choice
from serve_app.routing.view import TYPICAL, Costs


class Operation(StrEnum):
    CHAT = "chat"
    COMPLETION = "completion"
    EMBEDDING = "embedding"
    RESPONSE = "response"
    TOKENIZE = "tokenize"
    DETOKENIZE = "detokenize"


GENERATING = frozenset({Operation.CHAT, Operation.COMPLETION, Operation.RESPONSE})
"""Operations that take a place in the engine's batch for a while, and may be streamed."""


@dataclass(slots=True)
class Call:
    """One request on its way to a replica.

    The gateway's own half, ``fleet``, ``choice`` and ``over``, stays behind when it is pickled:
    Ray's router runs in the gateway's process and asks the call itself where it wants to go.

    Attributes:
        gateway: id of the gateway, which names its bus.
        number: names the call on the bus, unique within the gateway; its books assign it.
        request_id: as the client sees it.
        body: the OpenAI request, governed and ready for vLLM's own models.
        version: the adapter that answers, None for the base.
        fleet: ranks replicas for it and books it on the one it goes to.
        choice: where it went and why.
        over: nobody waits for it any more; it is not to be booked again.
        prompt_tokens: how long its prompt is, about, as the gateway reckons; 0 if it does not.
    """

    gateway: str
    number: int
    request_id: str
    operation: Operation
    body: dict[str, Any]
    version: Version | None
    fleet: "Placer | None" = None
    choice: Choice | None = None
    over: bool = False
    prompt_tokens: int = 0

    def rank(self, replicas: tuple[str, ...]) -> list[str]:
        """The order in which to try ``replicas``. Called by the router, in the gateway."""
        if self.fleet is None:
            raise RuntimeError("a call is placed by the gateway that made it")
        return self.fleet.place(self, replicas)

    def routed(self, replica: str) -> None:
        """The router has sent it to ``replica``."""
        if self.fleet is not None:
            self.fleet.routed(self, replica)

    def __reduce__(self) -> tuple[Any, ...]:
        return Call, (
            self.gateway,
            self.number,
            self.request_id,
            self.operation,
            self.body,
            self.version,
            None,
            None,
            False,
            self.prompt_tokens,
        )


class Placer(Protocol):
    """The gateway's fleet view, as its calls and Ray's router use it."""

    def place(self, call: Call, replicas: tuple[str, ...]) -> list[str]: ...
    def routed(self, call: Call, replica: str) -> None: ...
    def replicas_are(self, replicas: frozenset[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer; ``cached_tokens`` are those of the prompt's that were not computed.

    Attributes:
        finish: why it ended, in OpenAI's words, once it has; of several answers, the first.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    finish: str = ""


NO_USAGE = Usage()


@dataclass(frozen=True, slots=True)
class Reply:
    """How a call ended.

    Attributes:
        status: HTTP status; 200 with an empty body when the answer went over the bus.
        body: the JSON answer, or OpenAI's error envelope.
        cold_load_s: seconds this call waited for its adapter, None if it was resident.
        retryable: nothing reached the client and another replica may do better.
        headers: response headers of a refusal.
        cut: code of the error event that ended a streamed answer before its time.
    """

    status: int
    body: bytes = b""
    usage: Usage = NO_USAGE
    cold_load_s: float | None = None
    retryable: bool = False
    headers: dict[str, str] = field(default_factory=dict)
    cut: str | None = None

    @property
    def streamed(self) -> bool:
        """Whether the answer went over the bus."""
        return self.status == 200 and not self.body


@dataclass(frozen=True, slots=True)
class News:
    """What a replica tells every gateway about itself.

    Attributes:
        holds: names of the versions it holds or is loading.
        in_flight: requests on it, by gateway.
        capacity: its engine's seats: requests it runs at once, but for tenants below their
            share.
        waiting: requests queued in its engine.
        kv_usage: share of its KV cache in use, 0 to 1.
        alive: its engine works.
        loading: names of the versions among ``holds`` that are still being loaded.
        active: names of the versions among ``holds`` that requests are using.
        load_s: seconds a cold load takes there of late, 0 if there was none.
        engine_lists: adapters its engine itself said it holds, a second ago at most.
        max_loras: its engine's LoRA slots.
        waiting_tokens: prompt tokens sent to it and not computed yet.
        requests: requests in flight by version, whoever sent them.
        costs: what things take there, as measured.
    """

    holds: frozenset[str]
    in_flight: dict[str, int]
    capacity: int
    waiting: int = 0
    kv_usage: float = 0.0
    alive: bool = True
    loading: frozenset[str] = frozenset()
    active: frozenset[str] = frozenset()
    load_s: float = 0.0
    engine_lists: int = 0
    max_loras: int = 8
    waiting_tokens: int = 0
    requests: Mapping[str, int] = field(default_factory=dict)
    costs: Costs = TYPICAL


@dataclass(frozen=True, slots=True)
class BusMessage:
    """New output of all of one gateway's requests on one replica.

    Attributes:
        frames: finished SSE bytes by call number; None ends a request.
        news: the replica's state, when there is any.
        used: what requests with output in this message have used so far, by call number.
    """

    frames: list[tuple[int, bytes | None]]
    news: News | None
    used: Mapping[int, Usage] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Subscription:
    """A gateway's wish to hear from one replica, or, with ``replica`` None, to meet the fleet."""

    gateway: str
    replica: str | None
    fleet: Placer | None = None

    def rank(self, replicas: tuple[str, ...]) -> list[str]:
        """Only the replica it is for; any, when it is for none."""
        if self.replica is None:
            return list(replicas)
        return [self.replica] if self.replica in replicas else []

    def routed(self, replica: str) -> None:
        """Nothing is booked for a subscription."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Subscription, (self.gateway, self.replica)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A gateway's word to one replica that an adapter will be asked for there.

    If the replica has gone, any other may have it, and does nothing: a call that no replica will
    do for keeps Ray's router busy for ever.
    """

    version: Version
    replica: str
    fleet: Placer | None = None

    def rank(self, replicas: tuple[str, ...]) -> list[str]:
        """The replica it is for, as long as it runs."""
        return [self.replica] if self.replica in replicas else list(replicas)

    def routed(self, replica: str) -> None:
        """Nothing is booked for it."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Fetch, (self.version, self.replica)


@dataclass(frozen=True, slots=True)
class Probe:
    """Control's question whether a version loads and answers, to whichever replica is best."""

    version: Version
    fleet: Placer | None = None

    def rank(self, replicas: tuple[str, ...]) -> list[str]:
        """Any replica may answer it."""
        return list(replicas)

    def routed(self, replica: str) -> None:
        """Nothing is booked for a probe."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Probe, (self.version,)
