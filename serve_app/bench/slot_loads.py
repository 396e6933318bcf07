"""The loads under which ways to share LoRA slots are compared, put on a real engine."""

import asyncio
import random
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

import orjson

from serve_app.adapters.version import Version
from serve_app.bench.slot_rivals import PREEMPTING, DrainingGate, OpenGate
from serve_app.engine.interface import Engine
from serve_app.routing.messages import Call, Operation
from serve_app.settings import EngineSettings

BUSY_CLIENTS, LONG = 6, (200, 600)
"""Clients of the busy adapter, and tokens of an answer from and to: they never end all at once."""

SHORT, WARM_S, PAUSE_S = 4, 2.0, 1.0
"""Tokens of a short question's answer, when the first is asked, and how long after an answer."""

CLIENTS_EACH, MIXED = 2, (32, 256)
"""The mixed load: clients of each adapter, and tokens of an answer from and to."""

Gate = OpenGate | DrainingGate


@dataclass(frozen=True)
class Way:
    """A way to share slots: how the engine is started, and what stands above it."""

    name: str
    turn_s: float = 0.0
    vllm: Mapping[str, Any] = field(default_factory=dict)
    gate: Callable[[int], Gate] = lambda _slots: OpenGate()

    def settings(self, base: EngineSettings, slots: int) -> EngineSettings:
        """The engine's, with so many slots."""
        vllm = {**base.vllm, **self.vllm}
        changed = {"max_loras": slots, "slot_turn_s": self.turn_s, "vllm": vllm}
        return base.model_copy(update=changed)


def ways(turn_s: float) -> list[Way]:
    """All there are; the others are compared with the first."""
    told = {"scheduler_cls": PREEMPTING, "additional_config": {"slot_turn_s": turn_s}}
    return [
        Way("vLLM as it is"),
        Way("draining above it", gate=lambda slots: DrainingGate(slots, turn_s)),
        Way("turns, preempting", vllm=told),
        Way("turns, pausing", turn_s),
    ]


@dataclass
class Asked:
    """A request and how far it came.

    Attributes:
        last: the last event of its stream that said how many tokens there are.
    """

    adapter: str
    at: float
    first: float | None = None
    ended: float | None = None
    last: bytes = b""

    @property
    def tokens(self) -> int:
        """Generated so far."""
        if not self.last:
            return 0
        return int(orjson.loads(self.last.removeprefix(b"data: "))["usage"]["completion_tokens"])


class Load:
    """The clients of one engine, and what they have asked of it."""

    def __init__(self, engine: Engine, gate: Gate) -> None:
        self._engine = engine
        self._gate = gate
        self._numbers = count(1)
        self.asked: list[Asked] = []

    async def ask(self, version: Version, tokens: int) -> None:
        """One request, until it has all its tokens."""
        asked = Asked(version.adapter, time.monotonic())
        self.asked.append(asked)
        async with self._gate.turn(version.adapter):
            stream: Any = await self._engine.answer(self._call(version, tokens))
            async for event in stream.events:
                if b'"completion_tokens"' in event:
                    asked.last = event
                    if asked.first is None and asked.tokens:
                        asked.first = time.monotonic()
        asked.ended = time.monotonic()

    def _call(self, version: Version, tokens: int) -> Call:
        number = next(self._numbers)
        body = {
            "messages": [{"role": "user", "content": f"Question {number}: what is new today?"}],
            "max_tokens": tokens,
            "ignore_eos": True,
            "temperature": 0,
            "stream": True,
            "stream_options": {"include_usage": True, "continuous_usage_stats": True},
        }
        return Call("bench", number, f"slots-{number}", Operation.CHAT, body, version)


Clients = Callable[[Load], list[Coroutine[Any, Any, None]]]


def one_busy(adapters: Sequence[Version]) -> Clients:
    """Six clients keep the first adapter busy; one asks short questions of the second."""

    async def busy(load: Load, dice: random.Random) -> None:
        while True:
            await load.ask(adapters[0], dice.randint(*LONG))

    async def short(load: Load) -> None:
        await asyncio.sleep(WARM_S)
        while True:
            await load.ask(adapters[1], SHORT)
            await asyncio.sleep(PAUSE_S)

    return lambda load: [short(load), *(busy(load, random.Random(n)) for n in range(BUSY_CLIENTS))]


def all_busy(adapters: Sequence[Version]) -> Clients:
    """Every adapter has clients of its own, whose answers are of all lengths."""

    async def mixed(load: Load, version: Version, dice: random.Random) -> None:
        while True:
            await load.ask(version, dice.randint(*MIXED))

    return lambda load: [
        mixed(load, version, random.Random(f"{version.adapter} {n}"))
        for version in adapters
        for n in range(CLIENTS_EACH)
    ]


async def run(engine: Engine, gate: Gate, clients: Clients, seconds: float) -> list[Asked]:
    """Put a load on an engine for so many seconds, then hang up. What has not ended by then has
    ``ended`` None; seconds are counted from the start."""
    load = Load(engine, gate)
    began = time.monotonic()
    tasks = [asyncio.create_task(client) for client in clients(load)]
    failed, running = await asyncio.wait(
        tasks, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION
    )
    asked = [_since(began, one) for one in load.asked]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    for task in failed:
        task.result()
    return asked


def _since(began: float, one: Asked) -> Asked:
    first = None if one.first is None else one.first - began
    ended = None if one.ended is None else one.ended - began
    return replace(one, at=one.at - began, first=first, ended=ended)
