from dataclasses import dataclass

import pytest

from serve_app.demo.attempts import ATTEMPTS, until_tight


@dataclass(frozen=True)
class Made:
    attempt: int
    tight: bool


class Trainer:
    """Makes something tight from the attempt `good` on, and notes what it is asked and told."""

    def __init__(self, good: int) -> None:
        self.good = good
        self.attempts: list[int] = []
        self.told: list[tuple[int, int]] = []

    def make(self, attempt: int) -> Made:
        self.attempts.append(attempt)
        return Made(attempt, attempt >= self.good)

    def again(self, made: Made, attempt: int) -> None:
        assert not made.tight
        self.told.append((made.attempt, attempt))


def test_what_is_tight_at_once_is_made_once() -> None:
    trainer = Trainer(good=0)
    assert until_tight(trainer.make, trainer.again) == Made(0, tight=True)
    assert trainer.attempts == [0]
    assert not trainer.told


@pytest.mark.parametrize("good", range(1, ATTEMPTS))
def test_what_is_loose_is_made_again_until_it_is_tight(good: int) -> None:
    trainer = Trainer(good)
    assert until_tight(trainer.make, trainer.again) == Made(good, tight=True)
    assert trainer.attempts == list(range(good + 1))
    assert trainer.told == [(n, n + 1) for n in range(good)]


def test_what_never_gets_tight_is_given_up_and_returned_as_it_is() -> None:
    trainer = Trainer(good=ATTEMPTS)
    assert until_tight(trainer.make, trainer.again) == Made(ATTEMPTS - 1, tight=False)
    assert trainer.attempts == list(range(ATTEMPTS))
