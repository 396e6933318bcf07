"""One LoRA slot, and more adapters than that busy: everybody is answered, by the right adapter."""

import asyncio
from dataclasses import dataclass, field

import pytest

from serve_app.demo.lexicon import ADAPTERS, BASE, QUESTIONS, who_answered
from tests.harness import RunningApp

pytestmark = pytest.mark.e2e

ADMIN = "sk-admin-demo"
BUSY, SHORT = ADAPTERS[0], ADAPTERS[1]
LONG_TOKENS, SHORT_TOKENS = 1200, 4
BUSY_CLIENTS = 6


@dataclass
class Answer:
    """What has come of a stream so far."""

    text: str = ""
    tokens: int = 0
    begun: asyncio.Event = field(default_factory=asyncio.Event, compare=False)

    @property
    def voices(self) -> set[str]:
        return set(who_answered(self.text))


async def ask(app: RunningApp, model: str, tokens: int, answer: Answer) -> Answer:
    client = app.async_client(ADMIN)
    chunks = await client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": QUESTIONS[ADAPTERS[0]][0]}],
        max_tokens=tokens,
        temperature=0,
        stream=True,
        stream_options={"include_usage": True},
        extra_body={"ignore_eos": True},
    )
    async for chunk in chunks:
        answer.text += "".join(choice.delta.content or "" for choice in chunk.choices)
        answer.tokens = chunk.usage.completion_tokens if chunk.usage else answer.tokens
        if answer.text:
            answer.begun.set()
    await client.close()
    return answer


async def test_short_questions_to_one_adapter_are_answered_while_six_clients_keep_another_busy(
    app: RunningApp,
) -> None:
    """Without turns the first of them would wait until all six had ended."""
    answers = [Answer() for _ in range(BUSY_CLIENTS)]
    busy = [asyncio.create_task(ask(app, BUSY, LONG_TOKENS, answer)) for answer in answers]
    await asyncio.gather(*(answer.begun.wait() for answer in answers))
    for _ in range(3):
        short = await ask(app, SHORT, SHORT_TOKENS, Answer())
        assert (short.tokens, short.voices) == (SHORT_TOKENS, {SHORT})
        assert not any(task.done() for task in busy), "it was answered in the midst of the others"
    await asyncio.gather(*busy)
    assert [answer.tokens for answer in answers] == [LONG_TOKENS] * BUSY_CLIENTS
    assert [answer.voices for answer in answers] == [{BUSY}] * BUSY_CLIENTS


async def test_a_stream_that_was_paused_says_what_it_says_unpaused(app: RunningApp) -> None:
    alone = await ask(app, BUSY, 200, Answer())
    paused = Answer()
    stream = asyncio.create_task(ask(app, BUSY, 200, paused))
    await paused.begun.wait()
    await asyncio.gather(*(ask(app, adapter, 40, Answer()) for adapter in ADAPTERS[1:4]))
    await stream
    assert paused == alone


async def test_everybody_at_once_is_answered_by_the_right_one(app: RunningApp) -> None:
    models = [*ADAPTERS, BASE] * 2
    answers = await asyncio.gather(*(ask(app, model, 60, Answer()) for model in models))
    assert [answer.voices for answer in answers] == [{m} for m in models]


async def test_the_slot_of_whoever_hangs_up_while_paused_is_free(app: RunningApp) -> None:
    left, stays = Answer(), Answer()
    leaving = asyncio.create_task(ask(app, BUSY, LONG_TOKENS, left))
    await left.begun.wait()
    staying = asyncio.create_task(ask(app, SHORT, 300, stays))
    await stays.begun.wait()
    leaving.cancel()
    await staying
    assert (stays.tokens, stays.voices) == (300, {SHORT})
    again = await ask(app, BUSY, SHORT_TOKENS, Answer())
    assert again.voices == {BUSY}
