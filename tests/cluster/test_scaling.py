"""Replicas that come with load and go without it, on real Ray Serve, over stub engines."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from tests import harness
from tests.cluster.conftest import ADAPTERS, stub_config
from tests.harness import RunningApp

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

ADMIN = {"Authorization": "Bearer sk-admin"}
SEATS = 4
WITHIN_S = 60
LOOK_S = 0.1
TOKENS = 30


@pytest.fixture(scope="module")
def app(adapters: Path) -> Iterator[RunningApp]:
    """One replica, which may become two; it tells twice a second, so that little is waited for."""
    config = stub_config(adapters)
    harness.args(config)["engine"]["max_num_seqs"] = SEATS
    harness.args(config)["gateway"] = {"max_wait_s": 600}
    engine = harness.deployment(config, "engine")
    del engine["num_replicas"]
    engine["autoscaling_config"] = {
        "min_replicas": 1,
        "max_replicas": 2,
        "metrics_interval_s": 0.5,
        "look_back_period_s": 2,
        "upscale_delay_s": 0.5,
        "downscale_delay_s": 1,
        "policy": {"policy_function": "serve_app.routing.autoscaler:LoadPolicy"},
    }
    with harness.running(config) as app:
        yield app


class Client:
    """Asks, and remembers how every request ended and which process answered for which replica."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http
        self.statuses: list[int] = []
        self.pids: dict[str, int] = {}

    async def fleet(self) -> set[str]:
        """The replicas that run, as the gateway knows."""
        page = (await self._http.get("/admin/v1/fleet")).json()
        return {one["replica"] for one in page["replicas"]}

    async def sees(self, number: int) -> bool:
        """Whether so many run."""
        return len(await self.fleet()) == number

    async def heard_from(self, number: int) -> bool:
        """Whether so many have answered."""
        return len(self.pids) == number

    async def outlived(self, replica: str) -> bool:
        """Whether its process is gone."""
        return not psutil.pid_exists(self.pids[replica])

    async def ask(self, model: str, pause_s: float = 0.0) -> str:
        """The replica that answered."""
        body = {"prompt": "p", "model": model, "pause_s": pause_s}
        answer = await self._http.post("/v1/completions", json=body)
        self.statuses.append(answer.status_code)
        facts = answer.json()
        self.pids[facts["replica"]] = facts["pid"]
        return str(facts["replica"])

    @contextlib.asynccontextmanager
    async def traffic(self, clients: int) -> AsyncIterator[None]:
        """Requests one after another from each of so many clients, until the context is left."""
        over = asyncio.Event()

        async def ask_until_over(model: str) -> None:
            while not over.is_set():
                await self.ask(model, pause_s=0.3)

        async with asyncio.TaskGroup() as group:
            for number in range(clients):
                group.create_task(ask_until_over(ADAPTERS[number % len(ADAPTERS)]))
            yield
            over.set()

    @contextlib.asynccontextmanager
    async def stream(self, until: Path) -> AsyncIterator["Streaming"]:
        """A stream that has begun, and ends when there is a file ``until``."""
        body = {"prompt": "p", "model": "stub", "stream": True, "max_tokens": TOKENS}
        body |= {"pause_s": 0.01, "until": str(until)}
        async with self._http.stream("POST", "/v1/completions", json=body) as answer:
            self.statuses.append(answer.status_code)
            yield Streaming(answer.headers["x-serve-replica"], answer)


@dataclass(frozen=True)
class Streaming:
    """A streamed answer, and the replica it comes from."""

    replica: str
    answer: httpx.Response

    async def numbers(self) -> list[int]:
        """Of the tokens, in the order in which they came, once all have come."""
        lines = [line async for line in self.answer.aiter_lines() if line.startswith("data: ")]
        assert lines.pop() == "data: [DONE]"
        events = [json.loads(line.removeprefix("data: ")) for line in lines]
        words = "".join(choice["text"] for event in events for choice in event.get("choices", ()))
        return [int(word.rpartition(":")[2]) for word in words.split()]


async def test_load_adds_a_replica_and_idleness_removes_one_that_ends_its_streams_first(
    app: RunningApp, tmp_path: Path
) -> None:
    release = tmp_path / "release"
    async with httpx.AsyncClient(base_url=app.url, timeout=WITHIN_S, headers=ADMIN) as http:
        client = Client(http)
        assert len(await client.fleet()) == 1
        async with client.traffic(clients=2 * SEATS):
            await until(lambda: client.heard_from(2), "load adds a replica, and it answers")

        async with client.stream(release) as one, client.stream(release) as other:
            assert {one.replica, other.replica} == client.pids.keys()
            await until(lambda: client.sees(1), "idleness removes a replica")
            (stays,) = await client.fleet()
            (leaves,) = client.pids.keys() - {stays}
            # Whatever it held is served by the other one meanwhile.
            assert {await client.ask(adapter) for adapter in ADAPTERS} == {stays}
            assert psutil.pid_exists(client.pids[leaves])

            release.touch()
            for stream in (one, other):
                assert await stream.numbers() == list(range(TOKENS))
        await until(lambda: client.outlived(leaves), "it has left")
        assert set(client.statuses) == {200}


async def until(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for what happens in other processes."""
    for _ in range(int(WITHIN_S / LOOK_S)):
        if await holds():
            return
        await asyncio.sleep(LOOK_S)
    raise AssertionError(f"not within {WITHIN_S} s: {what}")
