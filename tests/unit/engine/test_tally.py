"""Tokens counted as vLLM gives them out, in outputs of its own classes' shape."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from enum import Enum

import pytest

from serve_app.engine.tally import TALLY, Tally, counted
from serve_app.routing.messages import Usage


class Kind(Enum):
    CUMULATIVE = 0
    DELTA = 1
    FINAL_ONLY = 2


@dataclass
class Params:
    output_kind: Kind


@dataclass
class Answer:
    index: int
    token_ids: list[int]
    finish_reason: str | None = None


@dataclass
class Output:
    outputs: list[Answer]
    prompt_token_ids: list[int] | None = field(default_factory=lambda: [1, 2, 3])
    num_cached_tokens: int | None = 2


@pytest.fixture
def tally() -> Tally:
    tally = Tally()
    TALLY.set(tally)
    return tally


async def _generate(_prompt: object, params: Params) -> AsyncGenerator[Output, None]:
    ids: dict[int, list[int]] = {0: [], 1: []}
    for step in range(3):
        for index in ids:
            ids[index].append(step)
        if params.output_kind is Kind.DELTA:
            yield Output([Answer(index, [step]) for index in ids])
        elif params.output_kind is Kind.CUMULATIVE or step == 2:
            yield Output([Answer(index, list(tokens)) for index, tokens in ids.items()])


@pytest.mark.parametrize("kind", Kind)
async def test_tokens_are_counted_once_however_they_are_given_out(tally: Tally, kind: Kind) -> None:
    async for _ in counted(_generate)("p", Params(kind)):
        pass
    assert tally.usage == Usage(3, 6, 2)


async def test_what_was_used_so_far_is_known_at_any_time(tally: Tally) -> None:
    outputs = counted(_generate)("p", Params(Kind.DELTA))
    assert [tally.usage.completion_tokens async for _ in outputs] == [2, 4, 6]


async def test_several_prompts_add_up(tally: Tally) -> None:
    for _ in range(2):
        async for _ in counted(_generate)("p", Params(Kind.FINAL_ONLY)):
            pass
    assert tally.usage == Usage(6, 12, 4)


async def test_an_output_without_its_prompt_counts_no_prompt(tally: Tally) -> None:
    tally.add(tally.begin(), Output([], None, None), delta=True)
    assert tally.usage == Usage()


async def test_a_stream_that_is_cut_closes_the_engines_own() -> None:
    closed = []

    async def generate(_prompt: object, _params: Params) -> AsyncGenerator[Output, None]:
        try:
            while True:
                yield Output([Answer(0, [1])])
        finally:
            closed.append(True)

    outputs = counted(generate)("p", Params(Kind.DELTA))
    await anext(outputs)
    await outputs.aclose()
    assert closed == [True]
