"""How often each side won, and what may be said of it. Pure; needs scipy (extra ``report``).

The interval is Clopper and Pearson's exact one (Biometrika 26, 1934) for the share of A's wins
among the prompts that were decided: ties do not count. It covers the true share in at least 95% of
tests, however few the prompts, and excludes a half when the two-sided sign test is below 5%.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scipy.stats import binomtest

from serve_app.client.ab.comparison import Comparison, Winner

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Wins:
    """Verdicts of one judge.

    Attributes:
        unjudged: prompts without a verdict: an answer or the judge failed, or nobody judged.
        low, high: 95% interval for the share of A's wins among ``decided``.
        p_value: of the two-sided sign test that both win alike; None if nothing was decided.
    """

    a: int
    b: int
    ties: int
    unjudged: int
    low: float
    high: float
    p_value: float | None

    @property
    def decided(self) -> int:
        return self.a + self.b

    @property
    def judged(self) -> int:
        return self.decided + self.ties

    @property
    def winner(self) -> Winner | None:
        """The side that the interval shows to win more often, if it shows one."""
        if self.low > 0.5:
            return Winner.A
        return Winner.B if self.high < 0.5 else None


def wins(comparisons: Iterable[Comparison]) -> Wins:
    """Count the verdicts."""
    verdicts = [one.judgement.winner if one.judgement else None for one in comparisons]
    a, b, ties, unjudged = (verdicts.count(one) for one in (*Winner, None))
    if a + b == 0:
        return Wins(a, b, ties, unjudged, 0.0, 1.0, None)
    test = binomtest(a, a + b)
    interval = test.proportion_ci(CONFIDENCE, method="exact")
    return Wins(a, b, ties, unjudged, float(interval.low), float(interval.high), float(test.pvalue))


def verdict(found: Wins, name_a: str, name_b: str) -> Sequence[str]:
    """What may be said, in sentences, and no more."""
    if found.judged == 0:
        return ("Nobody has judged the answers, so nothing is said about which are better.",)
    if found.decided == 0:
        return (f"All {found.judged} judged prompts are ties: no difference is shown.",)
    counts = (
        f"Of {found.decided} decided prompts A won {found.a} and B won {found.b}; "
        f"ties: {found.ties}."
    )
    share = (
        f"A's share of the decided ones is {found.a / found.decided:.1%}, "
        f"95% interval {found.low:.1%} to {found.high:.1%}."
    )
    return (_claim(found, name_a, name_b), counts, share)


def _claim(found: Wins, name_a: str, name_b: str) -> str:
    if found.winner is None:
        return (
            "No winner is shown: the interval includes an even share, so these prompts cannot tell "
            f"A ({name_a}) and B ({name_b}) apart."
        )
    side, name = ("A", name_a) if found.winner is Winner.A else ("B", name_b)
    return f"{side} ({name}) is preferred by this judge on prompts such as these."
