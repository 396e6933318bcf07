"""What there is to share: seats on the replicas a request may go to, and turns at their slots."""

from typing import Any

from serve_app.routing.fair import FairQueue
from serve_app.routing.messages import News
from serve_app.routing.seats import Seats, backed_up, fits, seats_of, slot_worth
from serve_app.routing.view import Costs, ReplicaView


def view(id_: str, outstanding: int = 0, *holds: str, alive: bool = True) -> ReplicaView:
    return ReplicaView(id_, outstanding, capacity=16, holds=frozenset(holds), alive=alive)


def news(**told: Any) -> News:
    return News(holds=frozenset(), **told)


def test_seats_are_those_of_the_living_and_taken_by_other_gateways() -> None:
    told = [
        news(alive=True, capacity=8, in_flight={"me": 3, "other": 2}),
        news(alive=True, capacity=8, in_flight={"third": 1}),
        news(alive=False, capacity=8, in_flight={"other": 8}),
    ]
    assert seats_of(told, "me") == Seats(capacity=16, taken=3, gateways=3)


def test_a_seat_elsewhere_is_of_no_use_where_the_adapter_is_not() -> None:
    full, empty = view("a", 20, "finance"), view("b", 0, "law")
    assert not fits("finance", False, [full, empty])
    assert fits("law", False, [full, empty])
    assert fits(None, False, [full, empty]), "the base is everywhere"
    assert fits("nowhere yet", False, [full, empty])
    assert not fits("nowhere yet", False, [full])


def test_the_dead_have_no_seats_and_know_nothing() -> None:
    assert not fits("finance", False, [view("a", 0, "finance", alive=False)])
    assert fits("finance", False, [view("a", 20, "finance", alive=False), view("b")])


def test_the_last_seats_of_a_replica_are_for_tenants_below_their_share() -> None:
    nearly = [view("a", 15, "finance")]
    assert not fits("finance", False, nearly)
    assert fits("finance", True, nearly)
    assert not fits("finance", True, [view("a", 18, "finance")])


def test_who_waits_for_a_full_replica_does_not_hold_up_those_for_another() -> None:
    queue, seats = FairQueue(), Seats(32)
    queue.arrive("busy", 1, 1, 0.0)
    assert queue.next(seats, 0.0) is not None, "somebody is in, so replicas are asked"
    waits = queue.arrive("acme", 1, 100, 0.0, adapter="finance")
    passes = queue.arrive("acme", 1, 100, 0.0, adapter="law")
    replicas = [view("a", 20, "finance"), view("b", 0, "law")]
    entered = queue.next(seats, 0.0, lambda adapter, below: fits(adapter, below, replicas))
    assert entered is passes
    assert list(waits.flow.waiting) == [waits]


def test_prompts_are_backed_up_when_they_are_on_every_living_replica() -> None:
    def waiting(tokens: int, *, alive: bool = True) -> ReplicaView:
        costs = Costs(prompt_token_s=0.001)
        return ReplicaView("a", waiting_tokens=tokens, costs=costs, alive=alive)

    assert not fits(None, False, [waiting(400)])
    assert fits(None, True, [waiting(400)])
    assert backed_up([waiting(400), waiting(0, alive=False)])
    assert not backed_up([waiting(400), waiting(0)])


def test_a_turn_at_a_slot_is_worth_what_it_keeps_others_from() -> None:
    costs = Costs(hold_s=0.5, seat_s=2.0)
    short = ReplicaView("a", capacity=16, active=frozenset({"x", "y"}), max_loras=2, costs=costs)
    assert slot_worth("new", [short]) == 16 / 2 * 0.5 / 2.0
    assert slot_worth("x", [short]) == 0.0
    assert slot_worth(None, [short]) == 0.0
    assert slot_worth("new", [short, view("b")]) == 0.0, "a slot is free elsewhere"
