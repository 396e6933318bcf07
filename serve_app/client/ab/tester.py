"""Asks two adapters the same, at once, prompt after prompt, and keeps what they answered."""

import asyncio
import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from openai import OpenAIError

from serve_app.client.ab.comparison import Comparison, Judgement, Reply, reply
from serve_app.client.ab.judges import Judge
from serve_app.client.answers import Messages
from serve_app.client.async_lora_client import AsyncLoraClient

RESULTS = Path("ab_test_results.json")
Progress = Callable[[int, int], None]


class ABTester:
    """Compares adapters on prompts.

    Both answers to a prompt are asked for at once, and prompts follow one another, so that both
    sides meet the same fleet. Which side is sent first alternates. Answers are streamed, for their
    times; give the client ``max_retries=0``, or the waits of retries are in those.

    Args:
        judge: says which answer is the better; nobody, if None.
        now: the time, in UTC.
    """

    def __init__(
        self,
        client: AsyncLoraClient,
        judge: Judge | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._client = client
        self._judge = judge
        self._now = now

    async def compare(
        self,
        prompt: str,
        lora_a: str,
        lora_b: str,
        system_prompt: str | None = None,
        **params: Any,
    ) -> Comparison:
        """Ask both one prompt. A side that fails has an ``error`` instead of a ``response``.

        Args:
            system_prompt: precedes the prompt, if given.
            params: any of ``chat.completions.create``.
        """
        return await self._compare(prompt, (lora_a, lora_b), system_prompt, params, b_first=False)

    async def run(
        self,
        prompts: Sequence[str],
        lora_a: str,
        lora_b: str,
        system_prompt: str | None = None,
        *,
        out: Path | str | None = RESULTS,
        on_progress: Progress | None = None,
        **params: Any,
    ) -> list[Comparison]:
        """Ask both all prompts, and write what came of it.

        Args:
            out: a JSON file: a list of ``prompt``, ``lora_a``, ``lora_b`` and more, one for each
                prompt. What there is is written also when the run is broken off.
            on_progress: told how many prompts are done, and of how many.
        """
        done: list[Comparison] = []
        try:
            for number, prompt in enumerate(prompts):
                sides, b_first = (lora_a, lora_b), number % 2 == 1
                done.append(
                    await self._compare(prompt, sides, system_prompt, params, b_first=b_first)
                )
                if on_progress:
                    on_progress(len(done), len(prompts))
        finally:
            if out is not None:
                write(done, Path(out))
        return done

    async def _compare(
        self,
        prompt: str,
        sides: tuple[str, str],
        system_prompt: str | None,
        params: dict[str, Any],
        *,
        b_first: bool,
    ) -> Comparison:
        asked_at, messages = self._now().isoformat(), conversation(prompt, system_prompt)
        names = sides[::-1] if b_first else sides
        replies = await asyncio.gather(*(self._ask(name, messages, params) for name in names))
        a, b = replies[::-1] if b_first else replies
        judgement, judge_error = await self._judged(prompt, a, b)
        return Comparison(prompt, a, b, system_prompt, params, asked_at, judgement, judge_error)

    async def _ask(self, name: str, messages: Messages, params: dict[str, Any]) -> Reply:
        try:
            async with self._client.stream(name, messages, **params) as stream:
                async for _ in stream:
                    pass
        except OpenAIError as error:
            return Reply(name, error=str(error))
        return reply(name, stream.text, stream.metrics)

    async def _judged(self, prompt: str, a: Reply, b: Reply) -> tuple[Judgement | None, str | None]:
        if self._judge is None or a.response is None or b.response is None:
            return None, None
        try:
            return await self._judge.judge(prompt, a.response, b.response), None
        except Exception as error:  # a judge is anybody's code, and one verdict is not the run
            return None, f"{type(error).__name__}: {error}"


def conversation(prompt: str, system_prompt: str | None) -> Messages:
    """A prompt, under a system prompt if there is one."""
    if system_prompt is None:
        return prompt
    return [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": prompt},
    ]


def write(comparisons: Sequence[Comparison], path: Path) -> None:
    """Write the results as JSON; a reader of ``path`` sees the old file or the whole new one."""
    text = json.dumps([one.as_json() for one in comparisons], indent=2, ensure_ascii=False)
    beside = path.with_name(f".{path.name}.new")
    beside.write_text(text + "\n", encoding="utf-8")
    beside.replace(path)
