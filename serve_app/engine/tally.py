"""How many tokens a call has used so far and why it ended, told where the engine gives them out.

So what a stream has used is known when it is cut, whatever its client asked to be told. Pure; it
knows vLLM's outputs by their attributes only.
"""

from collections.abc import AsyncGenerator, Callable
from contextvars import ContextVar
from typing import Any

from serve_app.routing.messages import Usage

DELTA = "DELTA"
"""Name of vLLM's output kind that gives out only what is new."""


class Tally:
    """Counts one call. It may have several prompts, and several answers to each."""

    def __init__(self) -> None:
        self._prompts: dict[int, tuple[int, int]] = {}
        self._answers: dict[tuple[int, int], int] = {}
        self._generations = 0
        self._finish = ""

    @property
    def usage(self) -> Usage:
        """Tokens so far."""
        return Usage(
            sum(prompt for prompt, _ in self._prompts.values()),
            sum(self._answers.values()),
            sum(cached for _, cached in self._prompts.values()),
            self._finish,
        )

    def begin(self) -> int:
        """A number for one more prompt."""
        self._generations += 1
        return self._generations

    def add(self, generation: int, output: Any, *, delta: bool) -> None:
        """Count an output of that prompt's; with ``delta`` it has only what is new."""
        if generation not in self._prompts:
            prompt = len(output.prompt_token_ids or ())
            self._prompts[generation] = prompt, output.num_cached_tokens or 0
        for answer in output.outputs:
            place = generation, answer.index
            before = self._answers.get(place, 0) if delta else 0
            self._answers[place] = before + len(answer.token_ids)
            if answer.finish_reason and not self._finish:
                self._finish = str(answer.finish_reason)


TALLY: ContextVar[Tally | None] = ContextVar("tally", default=None)
"""That of the call under way."""

Generate = Callable[..., AsyncGenerator[Any, None]]


def counted(generate: Generate) -> Generate:
    """An engine's ``generate`` that counts into the tally of the call that uses it."""

    async def counting(
        prompt: Any, sampling_params: Any, *args: Any, **kwargs: Any
    ) -> AsyncGenerator[Any, None]:
        tally = TALLY.get() or Tally()
        outputs = generate(prompt, sampling_params, *args, **kwargs)
        generation = tally.begin()
        delta = getattr(sampling_params.output_kind, "name", "") == DELTA
        try:
            async for output in outputs:
                tally.add(generation, output, delta=delta)
                yield output
        finally:
            await outputs.aclose()

    return counting
