"""Never another adapter's answer: eight adapters and the base, mixed, with every slot full."""

import asyncio
import random
from collections import Counter

import pytest

from serve_app.demo.lexicon import ADAPTERS, BASE, QUESTIONS, who_answered
from tests.harness import RunningApp

pytestmark = pytest.mark.e2e

ADMIN = "sk-admin-demo"
EVERYBODY = (*ADAPTERS, BASE)


async def answers(app: RunningApp, model: str, question: str, stream: bool) -> frozenset[str]:
    """Whose words the answer of ``model`` consists of; busy replicas are asked again."""
    client = app.async_client(ADMIN).with_options(max_retries=20)
    chunks = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": question}],
        max_tokens=24,
        stream=True,
        extra_body={"ignore_eos": stream},
    )
    text = [c.choices[0].delta.content or "" async for c in chunks if c.choices]
    await client.close()
    return who_answered("".join(text))


async def test_a_hundred_mixed_requests_are_each_answered_by_the_right_one(app: RunningApp) -> None:
    dice = random.Random(20)
    asked = [dice.choice(EVERYBODY) for _ in range(100)]
    questions = [dice.choice(QUESTIONS[dice.choice(ADAPTERS)]) for _ in asked]
    got = await asyncio.gather(
        *(answers(app, asked[n], questions[n], stream=n % 2 == 0) for n in range(100))
    )
    wrong = [(who, set(was)) for who, was in zip(asked, got, strict=True) if was != {who}]
    assert not wrong
    assert Counter(asked)[BASE] >= 5


async def test_the_base_stays_itself_among_adapters_that_fill_every_slot(app: RunningApp) -> None:
    """The CPU build of vLLM answers base rows with the last slot's adapter; here it must not."""
    busy = [ADAPTERS[n % 2] for n in range(8)] + [BASE] * 16
    question = QUESTIONS[ADAPTERS[0]][0]
    got = await asyncio.gather(*(answers(app, who, question, True) for who in busy))
    assert [set(was) for was in got] == [{who} for who in busy]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": ["a", "hello world hello world", "b c d e"], "prompt_logprobs": 2},
        {"prompt": ["a", "hello world"], "echo": True, "logprobs": 2},
        {"prompt": "hello world", "prompt_logprobs": 2},
    ],
)
def test_what_kills_a_bare_engine_is_a_400_here(app: RunningApp, body: dict[str, object]) -> None:
    request = {"model": "acme-finance-lora", "max_tokens": 3, **body}
    engines = {p.pid for p in app.processes("VLLM::EngineCore")}
    response = app.post("/v1/completions", ADMIN, json=request)
    assert response.status_code == 400, response.text
    assert "adapter" in response.json()["error"]["message"]
    after = app.client(ADMIN).completions.create(
        model="acme-finance-lora", prompt="x", max_tokens=9
    )
    assert who_answered(after.choices[0].text) == {"acme-finance-lora"}
    assert {p.pid for p in app.processes("VLLM::EngineCore")} == engines
