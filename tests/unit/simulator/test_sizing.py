from hypothesis import given
from hypothesis import strategies as st

from serve_app.simulator.sizing import largest, smallest

NUMBERS = st.integers(1, 200)


@given(needed=NUMBERS, most=NUMBERS)
def test_the_smallest_number_that_is_enough_is_found(needed: int, most: int) -> None:
    found = smallest(lambda number: number >= needed, most)
    assert found == (needed if needed <= most else None)


@given(bound=st.integers(0, 200), most=NUMBERS)
def test_the_largest_number_that_works_is_found(bound: int, most: int) -> None:
    assert largest(lambda number: number <= bound, most) == min(bound, most)


@given(needed=NUMBERS, more=NUMBERS)
def test_who_needs_more_never_gets_fewer(needed: int, more: int) -> None:
    less = smallest(lambda number: number >= needed, 500)
    greater = smallest(lambda number: number >= needed + more, 500)
    assert less is not None
    assert greater is not None
    assert less < greater


@given(needed=st.integers(1, 64))
def test_large_trials_are_few(needed: int) -> None:
    tried: list[int] = []

    def enough(number: int) -> bool:
        tried.append(number)
        return number >= needed

    smallest(enough, 64)
    assert len(tried) == len(set(tried)) <= 12
    assert max(tried) <= 2 * needed
