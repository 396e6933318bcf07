"""ABTester: both sides at once, the file it writes, and what a failure costs."""

import asyncio
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.client import ABTester, AsyncLoraClient, Judgement, Winner
from tests.unit.client.wire import KEY, URL, a_refusal, a_stream

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
Answer = Callable[[dict[str, Any]], httpx.Response]


def _by_name(body: dict[str, Any]) -> httpx.Response:
    return a_stream(f"{body['model']} on {body['messages'][-1]['content']}")


class Fleet(httpx.AsyncBaseTransport):
    """Answers each request by its body.

    Attributes:
        bodies: of the requests, in the order they came.
        waits: requests that are held until as many have come.
    """

    def __init__(self, answer: Answer = _by_name, together: int = 1) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._answer = answer
        self._barrier = asyncio.Barrier(together)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.bodies.append(json.loads(await request.aread()))
        body = self.bodies[-1]
        await self._barrier.wait()
        return self._answer(body)

    @property
    def client(self) -> AsyncLoraClient:
        http = httpx.AsyncClient(transport=self)
        return AsyncLoraClient(URL, KEY, max_retries=0, http_client=http)


class Scripted:
    """A judge that says what it is told to, and remembers what it saw."""

    def __init__(self, *winners: Winner | Exception) -> None:
        self._winners = list(winners)
        self.saw: list[tuple[str, str, str]] = []

    async def judge(self, prompt: str, answer_a: str, answer_b: str) -> Judgement:
        self.saw.append((prompt, answer_a, answer_b))
        winner = self._winners.pop(0)
        if isinstance(winner, Exception):
            raise winner
        return Judgement(winner, "said so")


async def test_both_adapters_are_asked_at_once_and_the_same() -> None:
    fleet = Fleet(together=2)  # neither is answered before both have asked
    async with asyncio.timeout(5):
        found = await ABTester(fleet.client, now=lambda: NOON).compare(
            "why?", "a-lora", "b-lora", system_prompt="be brief", max_tokens=9
        )
    assert (found.lora_a.name, found.lora_a.response) == ("a-lora", "a-lora on why?")
    assert (found.lora_b.name, found.lora_b.response) == ("b-lora", "b-lora on why?")
    first, second = fleet.bodies
    assert first | {"model": ""} == second | {"model": ""}
    assert [message["role"] for message in first["messages"]] == ["system", "user"]
    assert first["max_tokens"] == 9
    assert (found.asked_at, found.judgement) == ("2026-11-25T12:00:00+00:00", None)


async def test_a_run_writes_every_answer_with_its_times_and_tokens(tmp_path: Path) -> None:
    out, told = tmp_path / "ab_test_results.json", list[tuple[int, int]]()
    tester = ABTester(Fleet().client, Scripted(Winner.A, Winner.TIE), now=lambda: NOON)
    done = await tester.run(
        ["one", "two"],
        *("a-lora", "b-lora"),
        out=out,
        on_progress=lambda *now: told.append(now),
        temperature=0,
    )
    written = json.loads(out.read_text())
    assert written == [one.as_json() for one in done]
    assert [one["prompt"] for one in written] == ["one", "two"]
    side = written[0]["lora_a"]
    assert (side["name"], side["response"]) == ("a-lora", "a-lora on one")
    assert (side["completion_tokens"], side["adapter"]) == (5, "finance@5533a83906f4")
    assert side["latency_s"] >= side["time_to_first_token_s"] > 0
    assert [one["judgement"]["winner"] for one in written] == ["lora_a", "tie"]
    assert written[0]["params"] == {"temperature": 0}
    assert told == [(1, 2), (2, 2)]


async def test_which_side_is_sent_first_alternates() -> None:
    fleet = Fleet()
    await ABTester(fleet.client).run(["one", "two", "three"], "a-lora", "b-lora", out=None)
    sent = [body["model"] for body in fleet.bodies]
    assert sent == ["a-lora", "b-lora", "b-lora", "a-lora", "a-lora", "b-lora"]


async def test_a_side_that_fails_is_recorded_and_the_rest_goes_on() -> None:
    def answer(body: dict[str, Any]) -> httpx.Response:
        fails = body["model"] == "b-lora" and body["messages"][-1]["content"] == "one"
        return a_refusal(503, "no room") if fails else _by_name(body)

    judge = Scripted(Winner.B)
    tester = ABTester(Fleet(answer).client, judge)
    first, second = await tester.run(["one", "two"], "a-lora", "b-lora", out=None)
    assert "no room" in (first.lora_b.error or "")
    assert (first.lora_b.response, first.judgement) == (None, None)
    assert first.lora_a.response == "a-lora on one"
    assert second.judgement == Judgement(Winner.B, "said so")
    assert judge.saw == [("two", "a-lora on two", "b-lora on two")]


async def test_a_judge_that_fails_is_recorded_and_the_rest_goes_on() -> None:
    tester = ABTester(Fleet().client, Scripted(KeyError("one"), Winner.A))
    first, second = await tester.run(["one", "two"], "a-lora", "b-lora", out=None)
    assert (first.judgement, first.judge_error) == (None, "KeyError: 'one'")
    assert second.judgement is not None


async def test_a_run_that_is_broken_off_keeps_what_there_is(tmp_path: Path) -> None:
    out = tmp_path / "results.json"
    out.write_text("what was there before")

    def stop(done: int, _of: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await ABTester(Fleet().client).run(
            ["one", "two", "three"], "a-lora", "b-lora", out=out, on_progress=stop
        )
    assert [one["prompt"] for one in json.loads(out.read_text())] == ["one", "two"]
    assert os.listdir(tmp_path) == ["results.json"]  # noqa: PTH208 - in a coroutine
