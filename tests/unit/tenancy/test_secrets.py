import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.tenancy.secrets import PATTERN, key_id, new_key

SEEDS = st.integers()


def _key(seed: int) -> str:
    return new_key(random.Random(seed).getrandbits)


@given(SEEDS)
def test_a_new_key_is_of_the_form_and_names_itself(seed: int) -> None:
    key = _key(seed)
    found = PATTERN.fullmatch(key)
    assert found is not None
    assert key_id(key) == found["id"]


@given(SEEDS, st.data())
def test_a_mistyped_key_is_none(seed: int, data: st.DataObject) -> None:
    key = _key(seed)
    place = data.draw(st.integers(3, len(key) - 1))
    other = data.draw(st.sampled_from("0aZ-").filter(lambda char: char != key[place]))
    assert key_id(key[:place] + other + key[place + 1 :]) is None


@pytest.mark.parametrize("key", ["", "sk-", "sk-acme-secret", _key(1) + "0", _key(1)[:-1]])
def test_other_words_are_not_keys(key: str) -> None:
    assert key_id(key) is None


def test_the_largest_and_the_smallest_random_number_fit() -> None:
    most = new_key(lambda bits: 2**bits - 1)
    least = new_key(lambda _bits: 0)
    assert len(most) == len(least) == len("sk-") + 12 + 1 + 43 + 6
    assert key_id(least) == "0" * 12


def test_two_keys_are_never_alike() -> None:
    assert len({new_key() for _ in range(1000)}) == 1000
