"""Judges: what wins, and that neither place nor name decides."""

import io
import json
import re
from random import Random
from typing import Any

import httpx
import openai
import pytest
from rich.console import Console

from serve_app.client import ExactMatch, HumanJudge, Judgement, ModelJudge, RegexMatch, Winner
from serve_app.client.ab.model_judge import question, verdict
from serve_app.client.printable import printable
from tests.unit.client.wire import an_answer

A, B, TIE = Winner.A, Winner.B, Winner.TIE


@pytest.mark.parametrize(
    ("answers", "winner"),
    [((" 42\n", "41"), A), (("41", "42"), B), (("42", "42"), TIE), (("4 2", "x"), TIE)],
)
async def test_the_exact_answer_wins(answers: tuple[str, str], winner: Winner) -> None:
    assert (await ExactMatch("42").judge("p", *answers)).winner is winner


async def test_each_prompt_may_have_its_own_exact_answer() -> None:
    judge = ExactMatch({"p": "Yes", "q": "No"}, ignore_case=True)
    assert (await judge.judge("p", "yes", "no")).winner is A
    assert (await judge.judge("q", "yes", "no")).winner is B
    with pytest.raises(KeyError):
        await judge.judge("r", "yes", "no")


async def test_the_answer_with_the_pattern_wins() -> None:
    judge = RegexMatch(re.compile(r"\b\d+%"))
    assert (await judge.judge("p", "up 4%", "up")).winner is A
    assert (await judge.judge("p", "up", "up 4%")).winner is B
    assert (await judge.judge("p", "up 5%", "up 4%")).winner is TIE


class Endpoint:
    """A model that judges by rule: told both answers in order, it says a word."""

    def __init__(self, rule: Any) -> None:
        self.rule = rule
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        self.bodies.append(body)
        asked = body["messages"][-1]["content"]
        first, second = re.findall(r"\[(?:first|second) answer\]\n(.*?)\n\[end", asked)
        return an_answer(self.rule(first, second))

    def judge(self, **params: Any) -> ModelJudge:
        http: Any = httpx.AsyncClient(transport=httpx.MockTransport(self))
        client = openai.AsyncOpenAI(base_url="http://judge/v1", api_key="k", http_client=http)
        return ModelJudge(client, "judge-model", **params)


def _longer(first: str, second: str) -> str:
    return "TIE" if len(first) == len(second) else "FIRST" if len(first) > len(second) else "SECOND"


@pytest.mark.parametrize(
    ("answers", "winner"), [(("longer", "long"), A), (("long", "longer"), B), (("a", "b"), TIE)]
)
async def test_a_model_that_judges_by_content_is_heard(
    answers: tuple[str, str], winner: Winner
) -> None:
    endpoint = Endpoint(_longer)
    assert (await endpoint.judge().judge("p", *answers)).winner is winner
    shown = sorted(body["messages"][-1]["content"] for body in endpoint.bodies)
    assert shown == sorted([question("p", *answers), question("p", *answers[::-1])])


@pytest.mark.parametrize("word", ["FIRST", "SECOND"])
async def test_a_model_that_judges_by_place_is_not_heard(word: str) -> None:
    judgement = await Endpoint(lambda *_: word).judge().judge("p", "one", "two")
    assert judgement == Judgement(TIE, "another winner in the other order")


async def test_a_model_that_says_nothing_clear_makes_a_tie() -> None:
    judgement = await Endpoint(lambda *_: "well...").judge().judge("p", "one", "two")
    assert judgement == Judgement(TIE, "the judge gave no clear word")


async def test_a_model_is_asked_at_temperature_0_unless_told_otherwise() -> None:
    endpoint = Endpoint(_longer)
    await endpoint.judge().judge("p", "a", "b")
    await endpoint.judge(temperature=1, max_tokens=9).judge("p", "a", "b")
    assert [body["temperature"] for body in endpoint.bodies] == [0, 0, 1, 1]
    assert endpoint.bodies[-1]["max_tokens"] == 9
    assert endpoint.bodies[-1]["model"] == "judge-model"


@pytest.mark.parametrize(
    ("said", "word"),
    [
        ("FIRST", "FIRST"),
        ("second.", "SECOND"),
        ("The first is vague, so: **SECOND**", "SECOND"),
        ("It is a tie", "TIE"),
        ("firstly, secondly", None),
        ("", None),
    ],
)
def test_the_last_of_the_words_counts(said: str, word: str | None) -> None:
    assert verdict(said) == word


async def a_person(monkeypatch: pytest.MonkeyPatch, says: str, seed: int) -> tuple[Winner, str]:
    monkeypatch.setattr("sys.stdin", io.StringIO(says))
    screen = io.StringIO()
    judge = HumanJudge(Random(seed), Console(file=screen, width=120))
    judgement = await judge.judge("p", "words of finance", "words of legal")
    return judgement.winner, screen.getvalue()


async def test_a_person_judges_what_is_shown_in_either_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orders = set()
    for seed in range(8):
        winner, shown = await a_person(monkeypatch, "1\n", seed)
        a_first = shown.index("words of finance") < shown.index("words of legal")
        orders.add(a_first)
        assert winner is (A if a_first else B)
    assert orders == {True, False}


async def test_a_person_may_see_no_difference_and_is_asked_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    winner, shown = await a_person(monkeypatch, "both\nt\n", seed=0)
    assert winner is TIE
    assert shown.count("Which is better?") == 2


async def test_nobody_at_the_terminal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(EOFError):
        await a_person(monkeypatch, "", seed=0)


def test_an_answer_cannot_steer_the_terminal() -> None:
    assert printable("a\x1b[2Jb\tc\nd\x07\r\x9b") == "a�[2Jb\tc\nd���"
