from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from serve_app.routing.homes import Homes
from serve_app.routing.policy import Reason, Tuning, delay, explain, least_delay
from serve_app.routing.view import Costs, ReplicaView

ADAPTER, OTHERS = "acme@0123456789ab", frozenset({"x@1", "y@2"})
COSTS = Costs(stage_s=1.0, disk_s=0.5, swap_s=0.02, prompt_token_s=0.001, hold_s=1.0, seat_s=4.0)
NOW, BAND_S = 100.0, 0.1
RANK = least_delay(Homes(), Tuning(band_s=BAND_S))


def _replica(id_: str, outstanding: int = 0, **known: Any) -> ReplicaView:
    return ReplicaView(id_, outstanding, capacity=10, max_loras=2, costs=COSTS, **known)


def _quick(id_: str, **known: Any) -> ReplicaView:
    """A replica that loads an adapter within the band."""
    return replace(_replica(id_, **known), costs=Costs(0, 0.01, 0.01))


R1, R2, R3, R4 = FLEET = [_replica(f"r{number}") for number in range(1, 5)]
HOME = Homes().first(ADAPTER, [r.id for r in FLEET])
AWAY = next(replica for replica in FLEET if replica.id != HOME)
HELD: dict[str, Any] = {"holds": {ADAPTER}}
ACTIVE: dict[str, Any] = {"holds": {ADAPTER}, "active": {ADAPTER}}


def _first(replicas: Sequence[ReplicaView], adapter: str | None = ADAPTER) -> tuple[str, Reason]:
    chosen = RANK(adapter, replicas, NOW)[0]
    return chosen.id, explain(adapter, chosen, replicas, Homes(), NOW).reason


DECISIONS = {
    "a holder wins over an idle replica": (
        [_replica("idle"), _replica("holder", 9, **HELD)],
        ("holder", Reason.RESIDENT),
    ),
    "of two holders the far less busy one wins": (
        [_replica("busy", 9, **HELD), _replica("calm", 1, **HELD)],
        ("calm", Reason.RESIDENT),
    ),
    "a holder with a long queue gives way to a new copy": (
        [_replica("holder", 15, **ACTIVE), _replica("idle")],
        ("idle", Reason.SPILL),
    ),
    "a holder whose prompts take longer than a copy costs gives way": (
        [_replica("holder", 1, waiting_tokens=5000, **ACTIVE), _replica("idle")],
        ("idle", Reason.SPILL),
    ),
    "where it is active it waits for no slot": (
        [
            _replica("held", holds={ADAPTER, *OTHERS}, active=OTHERS),
            _replica("active", 4, holds={ADAPTER, *OTHERS}, active={ADAPTER, "x@1"}),
        ],
        ("active", Reason.RESIDENT),
    ),
    "a free slot is worth more than a few requests less": (
        [
            _replica("full slots", 1, **HELD, active=OTHERS),
            _replica("free slot", 4, **HELD, active={"x@1"}),
        ],
        ("free slot", Reason.RESIDENT),
    ),
    "a load that is nearly done is waited for": (
        [_replica("loading", 3, loading={ADAPTER: NOW + 0.2}), _replica("idle")],
        ("loading", Reason.LOADING),
    ),
    "a full KV cache counts as a full batch": (
        [_replica("full", 0, kv_usage=1.0, **HELD), _replica("busy", 7, **HELD)],
        ("busy", Reason.RESIDENT),
    ),
    "a dead holder is no holder": (
        [_replica("dead", alive=False, **HELD), _replica("alive", 3)],
        ("alive", Reason.HOME),
    ),
    "a replica never heard of is no choice while another lives": (
        [_replica("unknown", alive=False), _replica("alive", 30)],
        ("alive", Reason.HOME),
    ),
    "an idle fleet sends an adapter home": (FLEET, (HOME, Reason.HOME)),
    "a home hardly busier than the rest is still home": (
        [_replica(HOME, 3), AWAY],
        (HOME, Reason.HOME),
    ),
    "a holder is as good as a home that would load it in no time": (
        [_quick(HOME), _quick(AWAY.id, holds={ADAPTER})],
        (AWAY.id, Reason.RESIDENT),
    ),
    "a busy home is passed over": ([_replica(HOME, 5), AWAY], (AWAY.id, Reason.COLD)),
}


@pytest.mark.parametrize(("replicas", "first"), DECISIONS.values(), ids=DECISIONS)
def test_the_policy_decides_that(replicas: list[ReplicaView], first: tuple[str, Reason]) -> None:
    assert _first(replicas) == first


DELAYS = {
    "nothing of it is there": (_replica("r"), (1.52, 0, 0, 3.0)),
    "it is held": (_replica("r", **HELD), (0.02, 0, 0, 0)),
    "it is active": (_replica("r", **ACTIVE), (0, 0, 0, 0)),
    "it is being loaded": (_replica("r", loading={ADAPTER: NOW + 0.7}), (0.72, 0, 0, 0)),
    "its load is late": (_replica("r", loading={ADAPTER: NOW - 9}), (0.02, 0, 0, 0)),
    "slots are taken": (_replica("r", **HELD, active=OTHERS), (0.02, 0.5, 0, 4)),
    "seats are taken": (_replica("r", 10, **ACTIVE), (0, 0, 0.4, 1)),
    "prompts are waiting": (_replica("r", 5, waiting_tokens=100, **ACTIVE), (0, 0, 0.1, 0.25)),
}


@pytest.mark.parametrize(("replica", "parts"), DELAYS.values(), ids=DELAYS)
def test_the_delay_by_cause_when(replica: ReplicaView, parts: tuple[float, ...]) -> None:
    found = delay(ADAPTER, replica, NOW)
    assert (found.load_s, found.slot_s, found.queue_s, found.busy_s) == pytest.approx(parts)


def test_a_choice_says_its_reason_and_the_numbers_behind_it() -> None:
    chosen = _replica("r1", 5, waiting_tokens=100, **HELD, active=OTHERS)
    said = str(explain(ADAPTER, chosen, [chosen], Homes(), NOW))
    assert said == "r1: resident, 4.87 s = load 0.02 + slot 0.50 + queue 0.10 + busy 4.25"


def test_the_base_goes_where_least_is_going_on() -> None:
    assert _first([_replica("busy", 2), _replica("calm")], None) == ("calm", Reason.RESIDENT)


def test_without_replicas_there_is_no_choice() -> None:
    assert not RANK(ADAPTER, [], NOW)
