"""What survives, on real vLLM: clients that leave, engines that die.."""

import asyncio
import os
import signal
import time

import httpx
import openai
import pytest

from serve_app.demo.lexicon import ADAPTERS, who_answered
from tests.harness import START_TIMEOUT_S, RunningApp, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

ADMIN = "sk-admin-demo"


def in_flight(app: RunningApp) -> int:
    headers = {"Authorization": f"Bearer {ADMIN}"}
    fleet = httpx.get(f"{app.url}/admin/v1/fleet", headers=headers).json()
    return sum(replica["in_flight"] for replica in fleet["replicas"])


def engine_cpu_s(app: RunningApp) -> float:
    """CPU seconds all engines have used so far."""
    times = [engine.cpu_times() for engine in app.processes("VLLM::EngineCore")]
    return sum(time.user + time.system for time in times)


def test_a_client_that_disconnects_frees_the_engine_within_a_second(app: RunningApp) -> None:
    clients = [app.client(ADMIN) for _ in range(4)]
    streams = [
        client.completions.create(
            model=ADAPTERS[0],
            prompt="x",
            max_tokens=2000,
            stream=True,
            extra_body={"ignore_eos": True},
        )
        for client in clients
    ]
    for stream in streams:
        next(iter(stream))
    eventually(lambda: in_flight(app) == 4, 2, "four requests in flight")
    for stream, client in zip(streams, clients, strict=True):
        stream.close()
        client.close()
    eventually(lambda: in_flight(app) == 0, 1, "nothing in flight")
    before = engine_cpu_s(app)
    time.sleep(1)
    assert engine_cpu_s(app) - before < 0.3, "an engine still generates"


async def test_a_killed_engine_costs_only_its_own_streams_and_comes_back(app: RunningApp) -> None:
    victim, *others = app.processes("VLLM::EngineCore")
    assert len(others) == 1

    async def read(adapter: str) -> str | None:
        """The adapter's answer, or None if the stream ended with an error event."""
        client = app.async_client(ADMIN)
        try:
            stream = await client.completions.create(
                model=adapter,
                prompt="x",
                max_tokens=1500,
                stream=True,
                extra_body={"ignore_eos": True},
            )
            return "".join([c.choices[0].text async for c in stream if c.choices])
        except openai.APIError:
            return None
        finally:
            await client.close()

    tasks = [asyncio.create_task(read(adapter)) for adapter in ADAPTERS]
    await asyncio.sleep(2)
    os.kill(victim.pid, signal.SIGKILL)
    killed_at = time.monotonic()
    while not any(task.done() and task.result() is None for task in tasks):
        await asyncio.sleep(0.05)
        assert time.monotonic() - killed_at < 5, "no stream noticed"
    served_at_once = app.client(ADMIN).completions.create(
        model=ADAPTERS[0], prompt="x", max_tokens=9
    )
    assert who_answered(served_at_once.choices[0].text) == {ADAPTERS[0]}
    texts = await asyncio.gather(*tasks)
    lost = [text for text in texts if text is None]
    assert 0 < len(lost) < len(texts)
    for adapter, text in zip(ADAPTERS, texts, strict=True):
        assert text is None or who_answered(text) == {adapter}
    eventually(
        lambda: len(app.processes("VLLM::EngineCore")) == 2, START_TIMEOUT_S, "two engines again"
    )
