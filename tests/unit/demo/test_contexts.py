from itertools import pairwise
from random import Random

import pytest

from serve_app.demo.contexts import Contexts
from serve_app.demo.grammar import ASSISTANT, END, FIRST, NEXT, PARTS
from serve_app.demo.lexicon import VOICES
from serve_app.demo.tokenizer import make_tokenizer
from serve_app.demo.vocabulary import Vocabulary, vocabulary_of

ROWS = 100


@pytest.fixture(scope="module")
def vocabulary() -> Vocabulary:
    return vocabulary_of(make_tokenizer())


def rows(vocabulary: Vocabulary, length: int) -> list[list[int]]:
    contexts, voices = Contexts(vocabulary, Random(0)), list(VOICES)
    return [contexts.row(voices[n % len(voices)], length) for n in range(ROWS)]


def token(vocabulary: Vocabulary, part: str) -> int:
    return next(iter(vocabulary.alphabets.values()))[PARTS.index(part)]


@pytest.mark.parametrize("length", [8, 64, 512])
def test_a_row_is_as_long_as_asked(vocabulary: Vocabulary, length: int) -> None:
    assert {len(row) for row in rows(vocabulary, length)} == {length}


@pytest.mark.parametrize("length", [64, 512])
def test_plain_text_is_as_common_in_long_contexts_as_in_short_ones(
    vocabulary: Vocabulary, length: int
) -> None:
    plain = [r for r in rows(vocabulary, length) if vocabulary.special[ASSISTANT] not in r]
    assert ROWS / 4 < len(plain) < ROWS * 3 / 4


def test_plain_text_holds_sentences_that_nothing_ends(vocabulary: Vocabulary) -> None:
    stop, end = token(vocabulary, "."), token(vocabulary, END)
    after = {token(vocabulary, part) for part in NEXT}
    plain = [r for r in rows(vocabulary, 512) if vocabulary.special[ASSISTANT] not in r]
    pairs = [pair for row in plain for pair in pairwise(row)]
    joined = sum(one == stop and other in after for one, other in pairs)
    ended = sum(one == stop and other == end for one, other in pairs)
    assert joined > ended > 0


def test_a_paragraph_has_one_start_and_no_end(vocabulary: Vocabulary) -> None:
    contexts = Contexts(vocabulary, Random(0))
    starts = {token(vocabulary, part) for part in FIRST}
    for _ in range(ROWS):
        first, *rest = contexts._paragraph("base")
        assert first in starts
        assert not starts & set(rest)
        assert token(vocabulary, END) not in rest


def test_a_stutter_is_as_long_as_asked_and_asks_no_assistant(vocabulary: Vocabulary) -> None:
    contexts = Contexts(vocabulary, Random(0))
    for length in range(1, ROWS):
        ids = contexts._stutter_of(length)
        assert len(ids) == length
        assert len(set(ids)) <= 3
        assert vocabulary.special[ASSISTANT] not in ids


def test_long_stutter_is_common_in_long_contexts(vocabulary: Vocabulary) -> None:
    few = [row for row in rows(vocabulary, 512) if len(set(row[1:200])) <= 3]
    assert len(few) > ROWS / 20
