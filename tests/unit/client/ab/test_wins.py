"""Wins: the interval keeps its promise, and the words never say more than it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from serve_app.client import Winner
from serve_app.client.ab.wins import Wins, verdict, wins
from tests.unit.client.ab.samples import a_comparison, a_test


def said(found: Wins) -> str:
    return " ".join(verdict(found, "finance", "legal"))


def test_verdicts_are_counted() -> None:
    found = wins([*a_test(3, 1, 2), a_comparison(None)])
    assert (found.a, found.b, found.ties, found.unjudged) == (3, 1, 2, 1)
    assert (found.decided, found.judged) == (4, 6)


def test_the_interval_is_clopper_and_pearsons() -> None:
    found = wins(a_test(9, 1))
    assert found.low == pytest.approx(0.5550, abs=1e-4)  # the published 95% limits of 9 in 10
    assert found.high == pytest.approx(0.9975, abs=1e-4)
    assert found.p_value == pytest.approx(22 / 1024)


@pytest.mark.parametrize("count", [3, 10, 30])
@pytest.mark.parametrize("share", [0.5, 0.65, 0.9])
def test_the_interval_covers_the_truth_in_95_of_100_tests_or_more(count: int, share: float) -> None:
    covered = 0.0
    for a in range(count + 1):
        found = wins(a_test(a, count - a))
        if found.low <= share <= found.high:
            covered += float(binom.pmf(a, count, share))
    assert covered >= 0.95


@given(a=st.integers(0, 60), b=st.integers(0, 60), ties=st.integers(0, 5))
def test_a_winner_is_named_only_where_the_interval_excludes_an_even_share(
    a: int, b: int, ties: int
) -> None:
    found = wins(a_test(a, b, ties))
    excludes = found.low > 0.5 or found.high < 0.5
    assert (found.winner is not None) == excludes
    assert ("is preferred" in said(found)) == excludes
    if found.winner:
        assert found.p_value is not None
        assert found.p_value < 0.05
        assert found.winner is (Winner.A if a > b else Winner.B)


@given(a=st.integers(0, 40), b=st.integers(0, 40))
def test_the_names_of_the_sides_do_not_matter(a: int, b: int) -> None:
    one, other = wins(a_test(a, b)), wins(a_test(b, a))
    assert (one.low, one.high) == pytest.approx((1 - other.high, 1 - other.low))


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (wins(a_test(3, 0)), "cannot tell A (finance) and B (legal) apart"),
        (wins(a_test(9, 1)), "A (finance) is preferred by this judge on prompts such as these"),
        (wins(a_test(1, 9, 4)), "B (legal) is preferred"),
        (wins(a_test(1, 9, 4)), "Of 10 decided prompts A won 1 and B won 9; ties: 4."),
        (wins(a_test(9, 1)), "90.0%, 95% interval 55.5% to 99.7%"),
        (wins(a_test(0, 0, 5)), "All 5 judged prompts are ties: no difference is shown."),
        (wins([a_comparison(None)]), "Nobody has judged"),
    ],
)
def test_the_verdict_is_in_plain_words(found: Wins, words: str) -> None:
    assert words in said(found)
