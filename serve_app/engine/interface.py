"""What a replica needs of an engine. vLLM is one; the tests' stub is another."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from serve_app.adapters.version import Version
from serve_app.routing.messages import Call, Usage


class EngineDead(Exception):
    """The engine will not answer any more; the replica must be replaced."""


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer in one piece: an HTTP status and a JSON body."""

    status: int
    body: bytes
    usage: Usage


class Stream(Protocol):
    """An answer in pieces: finished SSE events. ``usage`` is what it has used so far."""

    @property
    def events(self) -> AsyncGenerator[bytes, None]: ...
    @property
    def usage(self) -> Usage: ...


@dataclass(frozen=True, slots=True)
class EngineLoad:
    """Requests running and queued in the engine; share of its KV cache in use, 0 to 1; whether
    it lives."""

    running: int = 0
    waiting: int = 0
    kv_usage: float = 0.0
    alive: bool = True


class Engine(Protocol):
    """One engine and the adapters in it.

    ``max_num_seqs`` is how many seats it has, ``max_loras`` how many adapters run at once,
    ``max_cpu_loras`` how many adapters it holds.
    """

    max_num_seqs: int
    max_loras: int
    max_cpu_loras: int

    async def start(self) -> None: ...

    async def answer(self, call: Call) -> Whole | Stream:
        """Answer a call whose adapter is resident.

        Raises:
            EngineDead: there is no engine left to answer.
        """
        ...

    async def load_adapter(self, version: Version, directory: Path, engine_id: int) -> None:
        """Make a version, staged in ``directory``, resident under an id never used before.

        Raises:
            AdapterRefused: the engine would not take it; nothing of it stays behind.
            EngineDead: there is no engine left.
        """
        ...

    async def unload_adapter(self, engine_id: int) -> None:
        """Free an adapter that no request uses, and see that it is gone.

        Raises:
            EngineDead: there is no engine left, or it keeps what it was told to free.
        """
        ...

    async def held(self) -> frozenset[int]:
        """Ids of the adapters the engine itself says it holds.

        Raises:
            EngineDead: there is no engine left.
        """
        ...

    def load(self) -> EngineLoad: ...

    async def check(self) -> None:
        """Raise if the engine is dead, or hangs."""
        ...

    def stop(self) -> None: ...
