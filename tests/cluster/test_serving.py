"""The gateway, the router and the bus on real Ray Serve, over stub engines."""

import asyncio
import json
import os
import signal
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any

import aiohttp
import httpx
import pytest

from tests.cluster.conftest import ADAPTERS
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.cluster

ADMIN = {"Authorization": "Bearer sk-admin"}


def ask(app: RunningApp, **body: Any) -> httpx.Response:
    return app.post("/v1/completions", "sk-admin", json={"prompt": "p", **body})


async def stream(client: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    """The events of a streamed answer."""
    request = {"prompt": "p", "stream": True, **body}
    async with client.stream("POST", "/v1/completions", json=request, headers=ADMIN) as response:
        assert response.status_code == 200, await response.aread()
        return [
            json.loads(line.removeprefix("data: "))
            async for line in response.aiter_lines()
            if line.startswith("data: ") and line != "data: [DONE]"
        ]


def text_of(events: list[dict[str, Any]]) -> str:
    return "".join(choice["text"] for event in events for choice in event.get("choices", ()))


def in_flight(app: RunningApp) -> int:
    """Requests running on all replicas, by asking each until both have answered."""
    running: dict[str, int] = {}
    deadline = time.monotonic() + 10
    while len(running) < 2 and time.monotonic() < deadline:
        for adapter in ADAPTERS:
            facts = ask(app, model=adapter).json()
            running[facts["replica"]] = facts["running"]
    return sum(running.values())


def test_requests_for_one_adapter_keep_going_to_the_replica_that_holds_it(app: RunningApp) -> None:
    for adapter in ADAPTERS[:4]:
        first = ask(app, model=adapter)
        rest = [ask(app, model=adapter) for _ in range(5)]
        assert {r.json()["replica"] for r in (first, *rest)} == {first.json()["replica"]}
        assert {r.headers["x-serve-placement"] for r in rest} == {"resident"}


def test_an_answer_says_which_adapter_replica_and_placement_it_had(app: RunningApp) -> None:
    response = ask(app, model="stub@adapter-5")
    assert response.headers["x-serve-adapter"] == response.json()["adapter"]
    assert response.headers["x-serve-adapter"].startswith("adapter-5@")
    assert response.headers["x-serve-replica"] == response.json()["replica"]
    assert response.headers["x-serve-placement"] in ("home", "cold", "resident")


def test_a_clients_request_id_comes_back_once(app: RunningApp) -> None:
    response = app.post(
        "/v1/completions", "sk-admin", json={"prompt": "p"}, headers={"x-request-id": "mine-1"}
    )
    assert response.headers.get_list("x-request-id") == ["mine-1"]


@pytest.mark.parametrize("key", ["sk-admin", "sk-nobody"])
def test_every_response_has_exactly_one_request_id(app: RunningApp, key: str) -> None:
    response = app.post("/v1/completions", key, json={"prompt": "p"})
    assert len(response.headers.get_list("x-request-id")) == 1


async def test_sixty_streams_at_once_each_get_their_own_output_whole(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        names = [ADAPTERS[n % len(ADAPTERS[:6])] for n in range(60)]
        answers = await asyncio.gather(
            *(stream(client, model=name, max_tokens=40, pause_s=0.002) for name in names)
        )
    for name, events in zip(names, answers, strict=True):
        words = text_of(events).split()
        assert [word.rpartition(":")[2] for word in words] == [str(n) for n in range(40)]
        assert {word.partition("@")[0] for word in words} == {name}


async def test_a_burst_for_one_cold_adapter_loads_it_at_most_once_a_replica(
    app: RunningApp,
) -> None:
    body = {"prompt": "p", "model": "adapter-7"}

    async def ask_once(session: aiohttp.ClientSession) -> tuple[int, dict[str, Any]]:
        async with session.post("/v1/completions", json=body) as answer:
            return answer.status, await answer.json()

    connections = aiohttp.TCPConnector(limit=0)
    timeout = aiohttp.ClientTimeout(60)
    async with aiohttp.ClientSession(
        app.url, headers=ADMIN, connector=connections, timeout=timeout
    ) as session:
        answers = await asyncio.gather(*(ask_once(session) for _ in range(1000)))
    assert Counter(status for status, _ in answers) == {200: 1000}
    loads = {facts["replica"]: facts["loads"] for _, facts in answers}
    for replica in loads.values():
        assert [n for name, n in replica.items() if name.startswith("adapter-7@")] == [1]


async def test_a_client_that_goes_away_stops_the_generation_within_a_second(
    app: RunningApp,
) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        body = {"prompt": "p", "stream": True, "max_tokens": 3000, "pause_s": 0.01}
        async with client.stream("POST", "/v1/completions", json=body, headers=ADMIN) as response:
            await anext(response.aiter_bytes())
    await asyncio.sleep(1)
    assert in_flight(app) == 0


async def test_a_client_that_goes_away_before_a_whole_answer_stops_it_too(app: RunningApp) -> None:
    async with httpx.AsyncClient(base_url=app.url, timeout=0.5, headers=ADMIN) as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/completions", json={"prompt": "p", "pause_s": 30})
    await asyncio.sleep(1)
    assert in_flight(app) == 0
    assert _booked(app) == 0


def test_a_fault_in_a_replica_is_a_500_that_tells_nothing(app: RunningApp) -> None:
    response = ask(app, fail=True)
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["error"]["type"] == "server_error"
    assert ask(app).status_code == 200


def test_an_adapter_the_engine_refuses_is_a_422_and_harms_nobody(app: RunningApp) -> None:
    response = ask(app, model="broken")
    assert (response.status_code, response.headers["x-should-retry"]) == (422, "false")
    assert ask(app, model="adapter-1").status_code == 200


async def test_a_dead_engine_costs_only_its_own_streams_and_its_replica_is_replaced(
    app: RunningApp,
) -> None:
    doomed = ask(app, model="adapter-2").json()
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        events = await stream(client, model="adapter-2", max_tokens=5, engine_dies=True)
    assert events[-1]["error"]["code"] == "replica_lost"
    answers = [ask(app, model="adapter-2") for _ in range(20)]
    assert {answer.status_code for answer in answers} == {200}
    assert doomed["pid"] not in {answer.json()["pid"] for answer in answers}
    eventually(lambda: len(_pids(app) - {doomed["pid"]}) == 2, 30, "two replicas again")


async def test_a_replica_killed_mid_stream_ends_its_streams_with_an_error_and_no_other(
    app: RunningApp,
) -> None:
    victim = ask(app, model="adapter-3").json()
    async with httpx.AsyncClient(base_url=app.url, timeout=60) as client:
        streams = [
            asyncio.create_task(stream(client, model=name, max_tokens=100, pause_s=0.03))
            for name in ADAPTERS[:6]
        ]
        await asyncio.sleep(1)
        os.kill(victim["pid"], signal.SIGKILL)
        killed_at = time.monotonic()
        answers = await asyncio.gather(*streams)
    broken = [events for events in answers if "error" in events[-1]]
    assert broken
    assert len(broken) < len(answers)
    assert {events[-1]["error"]["code"] for events in broken} == {"replica_lost"}
    assert time.monotonic() - killed_at < 10
    assert all(len(events) == 100 for events in answers if events not in broken)
    assert ask(app, model="adapter-3").status_code == 200
    eventually(lambda: len(_pids(app)) == 2, 30, "two replicas again")


async def test_what_a_killed_replica_held_is_served_elsewhere_from_the_next_request_on(
    app: RunningApp,
) -> None:
    homes = {name: ask(app, model=name) for name in ADAPTERS}
    victim = homes[ADAPTERS[0]].json()
    async with httpx.AsyncClient(base_url=app.url, timeout=60, headers=ADMIN) as client:
        busy = [asyncio.create_task(_asking(client, name)) for name in ADAPTERS]
        await asyncio.sleep(0.5)
        os.kill(victim["pid"], signal.SIGKILL)
        killed_at = time.monotonic()
        answers = [await task for task in busy]
    after = [one for mine in answers for one in mine if one.sent_at > killed_at]
    assert {one.status for mine in answers for one in mine} == {200}, "each is tried once elsewhere"
    assert victim["replica"] not in {one.replica for one in after}
    assert {one.adapter for one in after} == set(ADAPTERS)
    eventually(lambda: _booked(app) == 0, 10, "bookings are back to none")
    eventually(lambda: len(_pids(app)) == 2, 30, "two replicas again")


@dataclass(frozen=True)
class Answered:
    adapter: str
    sent_at: float
    status: int
    replica: str | None


async def _asking(client: httpx.AsyncClient, adapter: str) -> list[Answered]:
    """One request after the other for two seconds."""
    answers = []
    until = time.monotonic() + 2
    while (sent_at := time.monotonic()) < until:
        body = {"prompt": "p", "model": adapter, "pause_s": 0.05}
        answer = await client.post("/v1/completions", json=body)
        replica = answer.headers.get("x-serve-replica")
        answers.append(Answered(adapter, sent_at, answer.status_code, replica))
    return answers


def _booked(app: RunningApp) -> int:
    """Requests in flight, as the gateway has them."""
    page = httpx.get(f"{app.url}/admin/v1/fleet", headers=ADMIN, timeout=10)
    booked: int = page.json()["outstanding"]
    return booked


def _pids(app: RunningApp) -> set[int]:
    """Processes that answer."""
    answers = [ask(app, model=adapter) for adapter in ADAPTERS]
    return {answer.json()["pid"] for answer in answers if answer.status_code == 200}
