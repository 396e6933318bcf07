"""Who says which answer is the better, and the judges that need nobody else."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from serve_app.client.ab.comparison import Judgement, Winner


class Judge(Protocol):
    """Says which of two answers to a prompt is the better. What it raises is written down, and the
    other prompts go on."""

    async def judge(self, prompt: str, answer_a: str, answer_b: str, /) -> Judgement: ...


@dataclass(frozen=True, slots=True)
class ExactMatch:
    """The answer that is the expected text wins; spaces around it do not count.

    Args:
        expected: one for all prompts, or one for each.
        ignore_case: whether letters' case counts not either.
    """

    expected: str | Mapping[str, str]
    ignore_case: bool = False

    async def judge(self, prompt: str, answer_a: str, answer_b: str) -> Judgement:
        """Raises ``KeyError`` where nothing is expected of the prompt."""
        expected = self.expected if isinstance(self.expected, str) else self.expected[prompt]
        wanted = self._plain(expected)
        return only_one(self._plain(answer_a) == wanted, self._plain(answer_b) == wanted)

    def _plain(self, text: str) -> str:
        return text.strip().casefold() if self.ignore_case else text.strip()


@dataclass(frozen=True, slots=True)
class RegexMatch:
    """The answer in which the pattern is found wins."""

    pattern: re.Pattern[str]

    async def judge(self, _prompt: str, answer_a: str, answer_b: str) -> Judgement:
        found_a, found_b = self.pattern.search(answer_a), self.pattern.search(answer_b)
        return only_one(found_a is not None, found_b is not None)


def only_one(a: bool, b: bool) -> Judgement:
    """The one that is right wins; if both are, or neither is, it is a tie."""
    if a == b:
        return Judgement(Winner.TIE, "both match" if a else "neither matches")
    return Judgement(Winner.A if a else Winner.B, "only this one matches")
