"""What makes an experiment, and what may become of it."""

from collections.abc import Callable

import pytest

from serve_app.errors import Conflict, InvalidRequest
from serve_app.experiments.experiment import Arm, Experiment, State

A, B, C = Arm("a", "one", 8), Arm("b", "two", 1), Arm("c", "three", 1)


def of(*arms: Arm) -> Experiment:
    return Experiment("greeting", "salt", arms)


@pytest.mark.parametrize(
    "arms",
    [
        (A,),
        (A, A),
        (Arm("a", "one", -1), B),
        (Arm("a", "one", float("nan")), B),
        (Arm("a", "one", float("inf")), B),
        (Arm("a", "one", 0), Arm("b", "two", 0)),
        (Arm("a", "one", 1e6), Arm("b", "two", 5e-324)),
        (Arm("a", "one", 1.7e308), Arm("b", "two", 1.7e308)),
        (A, Arm("b", "two", 0, shadow=1.5)),
        (A, Arm("b", "two", 1, shadow=0.5)),
        (Arm("a", "one", 0, shadow=0.5), B),
        tuple(Arm(str(n), "x") for n in range(11)),
    ],
)
def test_arms_that_make_no_experiment_are_refused(arms: tuple[Arm, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        of(*arms)
    assert refused.value.param == "arms"


def test_it_is_started_paused_and_stopped() -> None:
    draft = of(A, B)
    assert draft.answering is A
    running = draft.started()
    assert running.answering is None
    assert running.paused().answering is A
    stopped = running.stopped("b")
    assert (stopped.state, stopped.answering) == (State.STOPPED, B)
    assert stopped.stopped("b") == stopped, "once more is the same"
    for move in (stopped.started, stopped.paused, draft.paused, stopped.stopped):
        with pytest.raises(Conflict):
            move()
    with pytest.raises(Conflict):
        stopped.ramped("b", 0.5)


def test_a_ramp_leaves_the_others_among_themselves_as_they_were() -> None:
    ramped = of(A, B, C).ramped("c", 0.5)
    assert [arm.weight for arm in ramped.arms] == [8, 1, 9]
    assert of(A, B).ramped("b", 0).arms[1].weight == 0


@pytest.mark.parametrize("share", [-0.1, 1.0, 2.0, float("nan"), 5e-324, 1 - 2**-53])
def test_a_ramp_to_nowhere_is_refused(share: float) -> None:
    with pytest.raises(InvalidRequest):
        of(A, B).ramped("b", share)


@pytest.mark.parametrize(
    "move",
    [
        lambda: of(A, B).ramped("z", 0.5),
        lambda: of(A, B).reweighted({"z": 1}),
        lambda: of(A, B).stopped("z"),
        lambda: of(A, Arm("b", "two", 0, 0.1)).stopped("b"),
    ],
)
def test_what_is_no_arm_is_refused(move: Callable[[], Experiment]) -> None:
    with pytest.raises(InvalidRequest):
        move()
