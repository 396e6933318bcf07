"""An experiment between two real adapters: shared out, judged, decided, promoted."""

import asyncio
import json
from collections import Counter

import pytest

from serve_app.cli.exits import STOPPED
from serve_app.client import Arm, AsyncLoraClient, ChatAnswer, LoraClient
from serve_app.demo.lexicon import who_answered
from tests.e2e.test_client import ADMIN, CHEF, LEGAL, serve_app
from tests.harness import RunningApp, eventually

pytestmark = pytest.mark.e2e

USERS = [f"user-{number}" for number in range(160)]
AT_ONCE = 12
LIKED = {CHEF: 2, LEGAL: 8}
"""Of ten who are answered by each, so many like it."""


async def test_the_better_adapter_is_found_and_promoted_and_nobody_is_refused(
    app: RunningApp,
) -> None:
    with LoraClient(app.url, ADMIN) as operator:
        operator.register_lora("reply", f".demo/adapters/{CHEF}")
        operator.register_lora("reply", f".demo/adapters/{LEGAL}")
        operator.set_alias("reply", "reply-live", 1)
        made = operator.experiments.create(
            "reply-test", [Arm("now", "reply-live"), Arm("next", "reply@v2")], start=True
        )
        assert [arm.model for arm in made.arms] == ["reply@v1", "reply@v2"]
    async with AsyncLoraClient(app.url, ADMIN, max_retries=0) as client:
        first = await _asked(client, USERS)
        again = await _asked(client, USERS[:20])
        for user, answer in again.items():
            assert answer.arm == first[user].arm, "everybody keeps their arm"
        for answer in first.values():
            assert who_answered(answer.content) == {{"now": CHEF, "next": LEGAL}[answer.arm or ""]}
        await _judged(client, list(first.values()))
        results = await client.experiments.results("reply-test")
        assert results.leader == "next", results.text
        assert not results.mismatch.alarm
        assert {arm.name: arm.errors for arm in results.arms} == {"now": 0, "next": 0}
        assert sum(arm.requests for arm in results.arms) == 180

        stop = asyncio.Event()
        traffic = asyncio.create_task(_meanwhile(client, stop))
        words = ("experiment", "promote", "reply-test", "--alias", "reply-live")
        done = await asyncio.to_thread(serve_app, app, *words)
        assert done.returncode == STOPPED, done.stderr
        await asyncio.sleep(1)
        stop.set()
        answered = await traffic
    assert answered["reply-live", LEGAL] > 0, "the alias means the winner"
    with LoraClient(app.url, ADMIN) as operator:
        assert dict(operator.lora("reply").aliases) == {"reply-live": 2}
        for name in ("reply-live", "reply-test"):
            answer = operator.chat(name, "x", user="newcomer", max_tokens=12)
            assert who_answered(answer.content) == {LEGAL}
        operator.experiments.delete("reply-test")
        operator.unregister_lora("reply")


def test_the_commands_carry_an_experiment_from_first_to_last(app: RunningApp) -> None:
    arms = ("--arm", f"a={CHEF}", "--arm", f"b={LEGAL}")
    made = serve_app(app, "experiment", "create", "dinner", *arms, "--start")
    assert made.returncode == STOPPED, made.stderr
    said = serve_app(app, "chat", "dinner", "-m", "hello", "--max-tokens", "8", "--output", "json")
    answer = json.loads(said.stdout)
    assert answer["arm"] in ("a", "b")
    liked = serve_app(app, "feedback", answer["request_id"], "--score", "1")
    assert liked.returncode == STOPPED, liked.stderr
    assert serve_app(app, "experiment", "ramp", "dinner", "b", "10%").returncode == STOPPED
    shown = json.loads(serve_app(app, "experiment", "show", "dinner", "--output", "json").stdout)
    assert [round(arm["share"], 6) for arm in shown["arms"]] == [0.9, 0.1]
    results = serve_app(app, "experiment", "results", "dinner")
    assert "Too early" in results.stdout
    assert "dinner" in serve_app(app, "experiment", "ls").stdout
    assert serve_app(app, "experiment", "rm", "dinner", "--yes").returncode == STOPPED


def test_a_shadow_answers_nobody_and_what_it_says_is_kept(app: RunningApp) -> None:
    with LoraClient(app.url, ADMIN) as operator:
        arms = [Arm("a", CHEF), Arm("b", CHEF, 0), Arm("dark", LEGAL, shadow=1)]
        operator.experiments.create("lunch", arms, start=True)
        asked = [operator.chat("lunch", f"I am {u}.", user=u, max_tokens=12) for u in USERS[:4]]
        assert {answer.arm for answer in asked} == {"a"}
        assert {who for answer in asked for who in who_answered(answer.content)} == {CHEF}
        eventually(lambda: len(list(operator.experiments.answers("lunch"))) == 4, 30, "kept")
        kept = list(operator.experiments.answers("lunch", "dark"))
        assert {one.request_id for one in kept} == {answer.request_id for answer in asked}
        assert {who for one in kept for who in who_answered(one.answer)} == {LEGAL}
        operator.experiments.delete("lunch")


async def _asked(client: AsyncLoraClient, users: list[str]) -> dict[str, ChatAnswer]:
    """Each user's answer."""
    seats = asyncio.Semaphore(AT_ONCE)

    async def ask(user: str) -> ChatAnswer:
        async with seats:
            return await client.chat("reply-test", f"I am {user}.", user=user, max_tokens=12)

    return dict(zip(users, await asyncio.gather(*map(ask, users)), strict=True))


async def _judged(client: AsyncLoraClient, answers: list[ChatAnswer]) -> None:
    seen = Counter[str]()
    for answer in answers:
        (who,) = who_answered(answer.content)
        liked = seen[who] % 10 < LIKED[who]
        seen[who] += 1
        told = await client.feedback(answer.request_id or "", float(liked))
        assert (told.experiment, told.arm) == ("reply-test", answer.arm)


async def _meanwhile(client: AsyncLoraClient, stop: asyncio.Event) -> Counter[tuple[str, str]]:
    """Who answered which name while the winner was promoted; whoever is refused raises."""
    answered = Counter[tuple[str, str]]()

    async def ask(name: str, user: str) -> None:
        while not stop.is_set():
            answer = await client.chat(name, "hello", user=user, max_tokens=12)
            (who,) = who_answered(answer.content)
            answered[name, who] += 1

    await asyncio.gather(*(ask(n, u) for n in ("reply-live", "reply-test") for u in USERS[:3]))
    return answered
