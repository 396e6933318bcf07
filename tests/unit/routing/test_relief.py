from dataclasses import replace

import pytest

from serve_app.routing.homes import Homes
from serve_app.routing.policy import Tuning, least_delay
from serve_app.routing.relief import copy_to, is_hot, shed_after_s
from serve_app.routing.view import Costs, ReplicaView

A, NOW = "acme@0123456789ab", 10.0
TUNING = Tuning(copy_above=0.7, copy_requests=8, shed_above_s=2.0)
COSTS = Costs(prompt_token_s=0.001, hold_s=1.0, seat_s=10.0)
HOT = ReplicaView("hot", 8, 10, holds={A}, active={A}, requests={A: 8}, costs=COSTS)
IDLE = ReplicaView("idle", 1, 10, costs=COSTS)
BUSY = replace(IDLE, id="busy", outstanding=9)

COPIES = {
    "a hot holder is copied to the next best replica": (HOT, [HOT, IDLE, BUSY], "idle"),
    "a holder with room is not copied": (replace(HOT, outstanding=7), [HOT, IDLE], None),
    "few requests are not worth a copy": (replace(HOT, requests={A: 7}), [HOT, IDLE], None),
    "a copy that is being loaded is waited for": (
        HOT,
        [HOT, IDLE, replace(IDLE, id="loading", loading={A: 11.0})],
        None,
    ),
    "another holder with room is enough": (
        HOT,
        [HOT, IDLE, replace(IDLE, id="warm", holds={A})],
        None,
    ),
    "a hot holder elsewhere is not enough": (
        HOT,
        [HOT, IDLE, replace(HOT, id="hot too")],
        "idle",
    ),
    "nothing is copied to where no room is": (HOT, [HOT, BUSY], None),
    "nothing is copied to the dead": (HOT, [HOT, replace(IDLE, alive=False)], None),
}


@pytest.mark.parametrize(("holder", "replicas", "there"), COPIES.values(), ids=COPIES)
def test_of_copies(holder: ReplicaView, replicas: list[ReplicaView], there: str | None) -> None:
    rank = least_delay(Homes())
    hot = is_hot(A, holder, TUNING)
    found = copy_to(A, replicas, rank, NOW, TUNING) if hot else None
    assert (found.id if found else None) == there


LONG = replace(HOT, outstanding=15)
QUEUED = replace(HOT, waiting_tokens=3500)

REFUSALS = {
    "a request that waits nowhere long is taken": ([LONG, IDLE], None),
    "a request that waits long everywhere is refused": ([LONG, LONG], 4.0),
    "prompts ahead count": ([QUEUED], 1.5),
    "a cold load alone refuses nobody": ([replace(IDLE, costs=Costs(stage_s=60))], None),
    "the dead have no room": ([LONG, replace(IDLE, alive=False)], 4.0),
    "a fleet nobody heard of is tried": ([], None),
}


@pytest.mark.parametrize(("replicas", "after_s"), REFUSALS.values(), ids=REFUSALS)
def test_of_refusals(replicas: list[ReplicaView], after_s: float | None) -> None:
    assert shed_after_s(A, replicas, TUNING) == (
        None if after_s is None else pytest.approx(after_s)
    )


def test_the_wait_for_a_slot_refuses_only_those_who_need_one() -> None:
    crowd = frozenset(f"x@{n}" for n in range(40))
    crowded = replace(HOT, outstanding=0, active=crowd | {A}, max_loras=4)
    assert shed_after_s(A, [crowded], TUNING) is None
    assert shed_after_s("new@1", [crowded], TUNING) == pytest.approx(7.5)


def test_in_a_full_batch_one_adapter_more_in_the_slots_is_one_too_many() -> None:
    full = replace(IDLE, outstanding=9, active={A, "x@1"}, max_loras=2)
    assert shed_after_s(A, [full], TUNING) is None
    assert shed_after_s("new@1", [replace(full, outstanding=3)], TUNING) is None
    assert shed_after_s("new@1", [full], TUNING) is not None
