"""A stub engine for tests of the gateway, the router and the bus. It generates nothing.

Its answer names the adapter and the replica it came from. Fields of the request steer it:
``pause_s`` before each token, ``until`` a file exists before the last one, ``fail`` to raise,
``engine_dies`` to be a dead engine in a living process after the first token.
"""

import asyncio
import json
import os
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ray import serve

from serve_app.adapters.version import WEIGHTS_FILE, Version
from serve_app.engine.interface import EngineDead, EngineLoad, Stream, Whole
from serve_app.errors import AdapterRefused
from serve_app.routing.messages import Call, Usage
from serve_app.settings import EngineSettings

LOAD_S = 0.05


class StubEngine:
    """Implements ``Engine`` without a model."""

    def __init__(self, settings: EngineSettings) -> None:
        self.max_num_seqs = settings.max_num_seqs or 64
        self.max_loras = settings.max_loras
        self.max_cpu_loras = settings.max_cpu_loras or 4
        self._loaded: dict[int, str] = {}
        self._loads: dict[str, int] = {}
        self._running = 0
        self._dead = False

    async def start(self) -> None: ...

    async def answer(self, call: Call) -> Whole | Stream:
        body = call.body
        if self._dead:
            raise EngineDead("stopped by a request")
        if body.get("fail"):
            raise RuntimeError("a secret of the replica")
        name = call.version.name if call.version else "base"
        assert name == "base" or name in self._loaded.values(), f"{name} is not resident"
        if body.get("stream"):
            return StubStream(self, call, name)
        with self._run():
            await asyncio.sleep(body.get("pause_s", 0))
        return Whole(200, json.dumps(self._facts(name)).encode(), Usage(3, 1))

    async def load_adapter(self, version: Version, directory: Path, engine_id: int) -> None:
        await asyncio.sleep(LOAD_S)
        if version.adapter == "broken":
            raise AdapterRefused("the stub refuses it")
        assert (directory / WEIGHTS_FILE).is_file(), f"{version.name} has no files"
        assert engine_id not in self._loaded
        assert version.name not in self._loaded.values(), f"{version.name} under two ids"
        self._loaded[engine_id] = version.name
        self._loads[version.name] = self._loads.get(version.name, 0) + 1
        assert len(self._loaded) <= self.max_cpu_loras

    async def unload_adapter(self, engine_id: int) -> None:
        del self._loaded[engine_id]

    async def held(self) -> frozenset[int]:
        return frozenset(self._loaded)

    def load(self) -> EngineLoad:
        return EngineLoad(running=self._running, alive=not self._dead)

    async def check(self) -> None:
        if self._dead:
            raise EngineDead("stopped by a request")

    def stop(self) -> None: ...

    @contextmanager
    def _run(self) -> Iterator[None]:
        self._running += 1
        try:
            yield
        finally:
            self._running -= 1

    def _facts(self, name: str) -> dict[str, Any]:
        return {
            "adapter": name,
            "replica": serve.get_replica_context().replica_id.unique_id,
            "pid": os.getpid(),
            "loads": self._loads,
            "running": self._running,
        }


@dataclass
class StubStream:
    """``max_tokens`` events, each naming the adapter and its place."""

    engine: StubEngine
    call: Call
    name: str
    sent: int = 0

    @property
    def usage(self) -> Usage:
        return Usage(3, self.sent)

    @property
    def events(self) -> AsyncGenerator[bytes, None]:
        return self._events()

    async def _events(self) -> AsyncGenerator[bytes, None]:
        body, count = self.call.body, self.call.body["max_tokens"]
        self.engine._running += 1
        try:
            for index in range(count):
                await asyncio.sleep(body.get("pause_s", 0))
                while index == count - 1 and not _is_there(body.get("until")):  # noqa: ASYNC110 - a test makes the file
                    await asyncio.sleep(0.05)
                finish = '"stop"' if index == count - 1 else "null"
                token = f'{{"text":"{self.name}:{index} ","finish_reason":{finish}}}'
                yield f'data: {{"id":"stub","choices":[{token}]}}\n\n'.encode()
                self.sent += 1
                if body.get("engine_dies"):
                    await asyncio.sleep(0.2)
                    self.engine._dead = True
                    raise EngineDead("stopped by this request")
            yield b"data: [DONE]\n\n"
        finally:
            self.engine._running -= 1


def _is_there(path: str | None) -> bool:
    return path is None or Path(path).exists()
