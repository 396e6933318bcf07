"""What there is to share: seats on the replicas a request may go to, and turns at their slots."""

from typing import Any

from serve_app.routing.fair import FairQueue
from serve_app.routing.messages import News
from serve_app.routing.seats import Seats, Standing, backed_up, fits, room, seats_of, slot_worth
from serve_app.routing.view import Costs, ReplicaView

ALONE, BELOW, ABOVE = Standing


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
    assert not fits("finance", ABOVE, [full, empty])
    assert fits("law", ABOVE, [full, empty])
    assert fits(None, ABOVE, [full, empty]), "the base is everywhere"
    assert fits("nowhere yet", ABOVE, [full, empty])
    assert not fits("nowhere yet", ABOVE, [full])


def test_the_dead_have_no_seats_and_know_nothing() -> None:
    assert not fits("finance", ABOVE, [view("a", 0, "finance", alive=False)])
    assert fits("finance", ABOVE, [view("a", 20, "finance", alive=False), view("b")])


def test_a_full_replica_has_room_for_tenants_below_their_share() -> None:
    assert fits("finance", ABOVE, [view("a", 15, "finance")])
    full = [view("a", 16, "finance")]
    assert not fits("finance", ABOVE, full)
    assert fits("finance", ALONE, full), "a few, so that none runs dry"
    assert fits("finance", BELOW, [view("a", 23, "finance")])
    assert not fits("finance", BELOW, [view("a", room(16), "finance")])


def test_while_prompts_are_backed_up_only_tenants_below_their_share_enter() -> None:
    seats = Seats(16, backed_up=True)
    assert (seats.most(ABOVE), seats.most(ALONE), seats.most(BELOW)) == (1, 1, room(16))
    beside = Seats(16, taken=5, gateways=2, backed_up=True)
    assert beside.most(ABOVE) == 5 + 1, "whoever has nobody in may have one"


def test_who_waits_for_a_full_replica_does_not_hold_up_those_for_another() -> None:
    queue, seats = FairQueue(), Seats(32)
    queue.arrive("busy", 1, 1, 0.0)
    assert queue.next(seats, 0.0) is not None, "somebody is in, so replicas are asked"
    waits = queue.arrive("acme", 1, 100, 0.0, adapter="finance")
    passes = queue.arrive("acme", 1, 100, 0.0, adapter="law")
    replicas = [view("a", 20, "finance"), view("b", 0, "law")]
    entered = queue.next(seats, 0.0, lambda adapter, stands: fits(adapter, stands, replicas))
    assert entered is passes
    assert list(waits.flow.waiting) == [waits]


def test_prompts_are_backed_up_when_they_are_on_every_living_replica() -> None:
    def waiting(tokens: int, *, alive: bool = True) -> ReplicaView:
        costs = Costs(prompt_token_s=0.001)
        return ReplicaView("a", waiting_tokens=tokens, costs=costs, alive=alive)

    assert not fits(None, ABOVE, [waiting(400)])
    assert fits(None, BELOW, [waiting(400)])
    assert backed_up([waiting(400), waiting(0, alive=False)])
    assert not backed_up([waiting(400), waiting(0)])


def test_a_turn_at_a_slot_is_worth_what_it_keeps_others_from() -> None:
    costs = Costs(hold_s=0.5, seat_s=2.0)
    short = ReplicaView("a", capacity=16, active=frozenset({"x", "y"}), max_loras=2, costs=costs)
    assert slot_worth("new", [short]) == 16 / 2 * 0.5 / 2.0
    assert slot_worth("x", [short]) == 0.0
    assert slot_worth(None, [short]) == 0.0
    assert slot_worth("new", [short, view("b")]) == 0.0, "a slot is free elsewhere"
