from hypothesis import given
from hypothesis import strategies as st

from serve_app.tenancy.window import WINDOW_S, Window

STEPS = st.lists(st.tuples(st.floats(0, 40), st.integers(1, 50)), max_size=60)


@given(STEPS)
def test_never_was_more_used_in_any_minute_than_was_said(steps: list[tuple[float, int]]) -> None:
    window, now = Window(), 1000.0
    entries: list[tuple[float, int]] = []
    for pause, amount in steps:
        now += pause
        entries.append((now, amount))
        window.add(now, amount)
        exact = sum(amount for at, amount in entries if now - at < WINDOW_S)
        at_most = sum(amount for at, amount in entries if now - at < WINDOW_S + 1)
        assert exact <= window.used(now) <= at_most


@given(STEPS, st.integers(1, 50))
def test_what_is_to_be_free_is_free_when_it_was_said_and_not_before(
    steps: list[tuple[float, int]], amount: int
) -> None:
    window, now = Window(), 1000.0
    for pause, used in steps:
        now += pause
        window.add(now, used)
    before = window.used(now)
    if amount > before:
        return
    after_s = window.frees_s(now, amount)
    assert 0 < after_s <= WINDOW_S + 1
    assert window.used(now + after_s - 1.01) > before - amount or after_s <= 1.01
    assert window.used(now + after_s) <= before - amount


def test_a_charge_can_be_corrected_as_long_as_it_counts() -> None:
    window = Window()
    second = window.add(100.0, 50)
    window.correct(second, 130.0, -20)
    assert window.used(130.0) == 30
    window.correct(second, 130.0, +5)
    assert window.used(130.0) == 35
    assert window.used(162.0) == 0
    window.correct(second, 162.0, -35)
    assert window.used(162.0) == 0


def test_a_long_pause_forgets_everything() -> None:
    window = Window()
    window.add(5.0, 7)
    assert window.used(1e9) == 0
