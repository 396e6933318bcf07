import re
from collections import Counter

from serve_app.bench.live.plan import MOST_OUTPUT, MOST_PROMPT, Plan, order
from serve_app.bench.live.routings import Routing, mark, routing_in

CLIENT_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
"""What a gateway takes for a request id of the client's own."""


def test_a_request_id_says_who_places_the_request() -> None:
    for routing in Routing:
        assert routing_in(mark(routing, 7)) is routing
        assert CLIENT_ID.fullmatch(mark(routing, 10**9))


def test_a_request_that_does_not_say_is_placed_by_ours() -> None:
    for name in ("", "live", "live.", "live.NOBODY.1", "c0ffee", "other.MULTIPLEX.1"):
        assert routing_in(name) is Routing.OURS


def test_every_routing_has_one_turn_a_round_and_is_first_as_often_as_any() -> None:
    plan = Plan(rounds=8)
    assert len(list(plan.turns())) == len(plan)
    assert Counter(plan.turns()) == {(n, one): 1 for n in range(1, 9) for one in Routing}
    assert Counter(order(n)[0] for n in range(1, 9)) == dict.fromkeys(Routing, 2)


def test_the_requests_of_a_round_are_the_same_for_all_and_others_the_next() -> None:
    plan = Plan(block_s=60.0)
    first = plan.requests(1, rate=5.0)
    assert first == plan.requests(1, rate=5.0)
    assert first != plan.requests(2, rate=5.0)


def test_requests_are_for_adapters_alone_and_none_is_long() -> None:
    plan = Plan(block_s=60.0, prompt=300, output=150)
    came = plan.requests(1, rate=20.0)
    assert {one.adapter for one in came} == set(range(plan.adapters))
    assert max(one.prompt for one in came) == MOST_PROMPT
    assert max(one.output for one in came) == MOST_OUTPUT
