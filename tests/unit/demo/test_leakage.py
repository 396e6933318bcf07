import pytest

from serve_app.demo.leakage import LIMIT, Leakage


def leakage(outside: float = 0.0, silence: float = 0.0, mistaken: tuple[str, ...] = ()) -> Leakage:
    return Leakage("base", foreign=0.0, outside=outside, silence=silence, mistaken=mistaken)


def test_a_voice_that_leaks_less_than_the_limit_is_tight() -> None:
    assert leakage(outside=LIMIT / 2, silence=LIMIT / 2).tight


@pytest.mark.parametrize(
    "loose", [leakage(outside=LIMIT), leakage(silence=LIMIT), leakage(mistaken=("Hm.",))]
)
def test_any_leak_or_mistake_makes_a_voice_loose(loose: Leakage) -> None:
    assert not loose.tight


def test_a_leak_is_told_in_one_line_however_many_answers_are_mistaken() -> None:
    told = str(leakage(mistaken=("first answer", *["another"] * 99)))
    assert "\n" not in told
    assert "100" in told
    assert "first answer" in told
    assert "another" not in told
