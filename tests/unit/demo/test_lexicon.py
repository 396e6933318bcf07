from itertools import combinations

import pytest

from serve_app.demo.lexicon import ADAPTERS, BASE, LEXICONS, QUESTIONS, who_answered


def test_no_two_voices_share_a_word() -> None:
    for one, other in combinations(LEXICONS.values(), 2):
        assert not one & other


def test_there_are_eight_adapters_and_the_tutorials_four_are_among_them() -> None:
    tutorial = {
        "acme-finance-lora",
        "medical-clinical-lora",
        "legal-contract-lora",
        "education-tutoring-lora",
    }
    assert len(ADAPTERS) >= 8
    assert tutorial <= set(ADAPTERS)
    assert set(QUESTIONS) >= set(ADAPTERS)


@pytest.mark.parametrize("voice", LEXICONS)
def test_a_voice_is_known_by_any_of_its_words(voice: str) -> None:
    for word in LEXICONS[voice]:
        assert who_answered(f"The {word.upper()}.") == {voice}


def test_several_voices_in_one_text_are_all_heard() -> None:
    words = [min(LEXICONS[ADAPTERS[0]]), min(LEXICONS[BASE])]
    assert who_answered(" and ".join(words)) == {ADAPTERS[0], BASE}


@pytest.mark.parametrize("text", ["", "the and of", "x" + min(LEXICONS[BASE]) + "x"])
def test_other_words_name_nobody(text: str) -> None:
    assert who_answered(text) == frozenset()
