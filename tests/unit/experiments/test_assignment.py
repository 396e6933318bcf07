"""Who has which arm."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.experiments.assignment import Assignment
from serve_app.experiments.experiment import Arm, Experiment
from serve_app.experiments.unit import unit_of

USERS = [f"user-{number}" for number in range(10_000)]


def experiment(*weights: float) -> Experiment:
    arms = tuple(Arm(f"arm-{n}", f"lora-{n}", weight) for n, weight in enumerate(weights))
    return Experiment("greeting", "salt", arms).started()


def assigned(of: Experiment) -> list[str]:
    """Each user's arm, as one gateway finds it."""
    assignment = Assignment(of)
    return [assignment.arm(user).name for user in USERS]


@pytest.mark.parametrize("weights", [(1, 1), (9, 1), (50, 25, 15, 10), (0.2, 0.8)])
def test_shares_are_the_weights_and_every_gateway_agrees(weights: tuple[float, ...]) -> None:
    one, other, third = (assigned(experiment(*weights)) for _ in range(3))
    assert one == other == third
    for number, weight in enumerate(weights):
        share = one.count(f"arm-{number}") / len(USERS)
        assert share == pytest.approx(weight / sum(weights), abs=0.01)


def test_a_request_of_a_user_has_the_arm_of_its_hidden_unit_at_every_gateway() -> None:
    of, unit = experiment(1, 1), unit_of(None, {"user": "ann"}, "r")
    one, other = (Assignment(of).assigned("acme", unit) for _ in range(2))
    assert one == other
    assert (one.arm, one.epoch) == (Assignment(of).arm(one.unit), 1)
    assert unit not in one.unit
    paused = Assignment(of.paused()).assigned("acme", unit)
    assert (paused.arm, paused.unit) == (of.control, ""), "it is not counted"


def test_a_ramp_moves_only_those_it_must() -> None:
    before = experiment(9, 1)
    after = before.ramped("arm-1", 0.2)
    moves = [
        (old, new) for old, new in zip(assigned(before), assigned(after), strict=True) if old != new
    ]
    assert set(moves) == {("arm-0", "arm-1")}
    assert len(moves) / len(USERS) == pytest.approx(0.1, abs=0.01)


def test_a_ramp_down_and_up_again_gives_everybody_what_they_had() -> None:
    before = experiment(6, 3, 1)
    again = before.ramped("arm-2", 0.5).ramped("arm-2", 0.1)
    assert assigned(again) == assigned(before)


@given(
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
    st.lists(st.floats(0.01, 100), min_size=3, max_size=3),
)
@settings(max_examples=30, deadline=None)
def test_a_unit_moves_only_to_an_arm_that_has_grown_by_more(
    old: list[float], new: list[float]
) -> None:
    before, after = Assignment(experiment(*old)), Assignment(experiment(*new))
    grown = {f"arm-{n}": new[n] / old[n] for n in range(3)}
    for user in USERS[:300]:
        left, entered = before.arm(user).name, after.arm(user).name
        assert left == entered or grown[entered] >= grown[left] * (1 - 1e-9)


def test_other_experiments_share_out_otherwise() -> None:
    one = experiment(1, 1)
    other = Experiment("other", "another salt", one.arms).started()
    same = sum(a == b for a, b in zip(assigned(one), assigned(other), strict=True))
    assert same / len(USERS) == pytest.approx(0.5, abs=0.02)


def test_an_arm_of_no_weight_gets_nobody() -> None:
    assert set(assigned(experiment(1, 0, 1))) == {"arm-0", "arm-2"}


def test_while_it_does_not_run_one_arm_answers_all() -> None:
    running = experiment(1, 1)
    assert set(assigned(running.paused())) == {"arm-0"}
    assert set(assigned(running.stopped())) == {"arm-0"}
    assert set(assigned(running.stopped("arm-1"))) == {"arm-1"}
    assert assigned(running.paused().started()) == assigned(running)


def test_a_shadow_gets_its_share_of_requests_and_answers_none() -> None:
    arms = (Arm("live", "a"), Arm("dark", "b", weight=0, shadow=0.2))
    running = Experiment("e", "s", arms).started()
    assignment = Assignment(running)
    assert {assignment.arm(user).name for user in USERS} == {"live"}
    copies = sum(len(assignment.shadows(f"req-{n}")) for n in range(10_000))
    assert copies / 10_000 == pytest.approx(0.2, abs=0.01)
    assert Assignment(running.paused()).shadows("req-1") == []


def test_hashes_never_change_between_releases() -> None:
    assignment = Assignment(experiment(1, 1, 1))
    found = [assignment.arm(unit).name for unit in ("", "ann", "bob", "é", "\ud800")]
    assert found == GOLDEN


GOLDEN = ["arm-2", "arm-2", "arm-0", "arm-0", "arm-1"]
