"""What is asked of a replica to find out how it keeps time."""

import asyncio
import time
from collections.abc import Callable, Sequence

from serve_app.cli.replica_client import CannotMeasure, ReplicaClient, Seen
from serve_app.simulator.calibration import Decoding, Measured, Prompt, Use, Where
from serve_app.simulator.machine import Machine
from serve_app.simulator.reality import Answered
from serve_app.simulator.request import Arrival

STREAMS = (1, 2, 4, 8, 16, 32, 64)
TOKENS = 64
LENGTHS = (16, 64, 128, 256, 512, 1024, 1536)
SHORT = 16
REPEATS = 3
ONE_MORE = 8
"""Tokens that a prompt leaves to its answer."""

Say = Callable[[str], None]


class Measuring:
    """Of one replica.

    Args:
        adapters: names to ask for.
        base: the base's name; None if the key may not ask for it, and the first adapter's share of
            a step is then counted as the step's own.
        known: the engine's limits.
        longest: tokens of a prompt and its answer, as the model takes them.
        news_s: how long a gateway may take to learn what a replica let go.
        say: told what is being measured.
    """

    def __init__(
        self,
        client: ReplicaClient,
        adapters: Sequence[str],
        base: str | None,
        known: Machine,
        longest: int,
        news_s: float,
        say: Say,
    ) -> None:
        self._client = client
        self._adapters = adapters
        self._base = base
        self._known = known
        self._longest = longest
        self._news_s = news_s
        self._say = say

    async def measure(self) -> Measured:
        """Loads come first, for an adapter is away only once.

        Raises:
            CannotMeasure: the application does not answer, or has several replicas.
        """
        uses = await self._uses()
        prompts = await self._prompts()
        decoding = await self._decoding()
        if len(self._client.replicas) > 1:
            raise CannotMeasure(
                f"{len(self._client.replicas)} replicas answered; let one serve, and measure that"
            )
        return Measured(decoding, prompts, uses)

    async def replay(self, arrivals: Sequence[Arrival]) -> list[Answered]:
        """Send ``arrivals`` at their times."""
        began = time.perf_counter()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(self._when_due(one, began)) for one in arrivals]
        return [task.result() for task in tasks]

    async def _uses(self) -> list[Use]:
        """Every adapter once, then from the last to the first, and so on; each twice in a row."""
        uses, recent = [], Recent(self._known.max_loras)
        order = list(self._adapters)
        for number in range(REPEATS):
            self._say(f"adapter loads, {number + 1} of {REPEATS}")
            for name in order:
                for _ in range(2):
                    seen = await self._ask(name, SHORT, 2)
                    uses.append(Use(recent.where(name, cold=seen.cold), _first(seen)))
                await asyncio.sleep(self._news_s)
            order.reverse()
        return uses

    async def _prompts(self) -> list[Prompt]:
        name = self._adapters[0]
        found: list[Prompt] = []
        await self._ask(name, SHORT, 2)
        for length in LENGTHS:
            if length + ONE_MORE > self._longest:
                break
            self._say(f"prompts of {length} tokens")
            seen = [await self._ask(name, length, 2) for _ in range(REPEATS + 1)]
            found += [Prompt(length, _first(one)) for one in seen]
        return found

    async def _decoding(self) -> list[Decoding]:
        """By numbers of streams: of one adapter, of as many as there are slots, of the base."""
        spread = min(self._known.max_loras, len(self._adapters))
        levels = [n for n in STREAMS if n <= self._known.max_num_seqs]
        points = [(n, 1) for n in levels] + [(n, spread) for n in levels if n >= spread > 1]
        if self._base is not None:
            points += [(n, 0) for n in levels]
        found: list[Decoding] = []
        for streams, adapters in points:
            self._say(f"{streams} streams of {adapters or 'no'} adapters")
            found += await self._streams(streams, adapters)
        return found

    async def _streams(self, streams: int, adapters: int) -> list[Decoding]:
        names = self._adapters[:adapters] or [self._base or ""]
        await self._client.at_once(names, SHORT, 2)
        asked = [names[n % len(names)] for n in range(streams)]
        seen = await self._client.at_once(asked, SHORT, TOKENS)
        return [Decoding(streams, adapters, _token_s(one)) for one in seen]

    async def _ask(self, name: str, prompt: int, output: int) -> Seen:
        return await self._client.ask(name, prompt, output)

    async def _when_due(self, arrival: Arrival, began: float) -> Answered:
        assert arrival.adapter is not None
        await asyncio.sleep(arrival.at_s - (time.perf_counter() - began))
        sent_s = time.perf_counter() - began
        name = self._adapters[arrival.adapter]
        seen = await self._client.ask(name, arrival.prompt, arrival.output)
        if seen.first_s is None or seen.last_s is None:
            return Answered(arrival, None, None, cold=False)
        return Answered(arrival, sent_s + seen.first_s, sent_s + seen.last_s, seen.cold)


class Recent:
    """Which adapters are in slots, by who was used last."""

    def __init__(self, slots: int) -> None:
        self._slots = slots
        self._used: dict[str, None] = {}  # used longest ago first

    def where(self, name: str, *, cold: bool) -> Where:
        """Where ``name`` was when it was used now.

        Args:
            cold: it was not in the engine's memory.
        """
        latest = list(self._used)[-self._slots :]
        used = name in self._used
        self._used.pop(name, None)
        self._used[name] = None
        if cold:
            return Where.STAGED if used else Where.AWAY
        return Where.SLOT if name in latest else Where.HELD


def _first(seen: Seen) -> float:
    if seen.first_s is None:
        raise CannotMeasure("a request was refused; is the application busy with others?")
    return seen.first_s


def _token_s(seen: Seen) -> float:
    assert seen.last_s is not None
    return (seen.last_s - _first(seen)) / (seen.tokens - 1)
