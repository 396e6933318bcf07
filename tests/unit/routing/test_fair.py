"""Who goes next, of tenants that wait for seats."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from serve_app.routing.fair import FORGET_FROM, FairQueue
from serve_app.routing.flow import LATELY_S, Ticket
from serve_app.routing.seats import SPARE, Seats, room


def test_a_tenant_alone_may_fill_every_seat_and_a_few_more() -> None:
    queue, seats = FairQueue(), Seats(20)
    for _ in range(50):
        queue.arrive("a", 1, 100, 0.0)
    entered = 0
    while queue.next(seats, 0.0):
        entered += 1
    assert entered == 20 + 20 // SPARE
    assert (queue.seated, queue.waiting) == (22, 28)


def full_of_noise(seats: Seats) -> tuple[FairQueue, Ticket]:
    """A queue in which a noisy tenant has all seats but one, which a quiet one has."""
    queue = FairQueue()
    quiet = queue.arrive("quiet", 1, 100, 0.0)
    assert queue.next(seats, 0.0) is quiet
    for _ in range(50):
        queue.arrive("noisy", 1, 100, 0.0)
    while queue.next(seats, 0.2):
        pass
    assert queue.seated == seats.capacity
    return queue, quiet


def test_a_tenant_below_its_share_does_not_wait_for_anothers_seats() -> None:
    seats = Seats(20)
    queue, _ = full_of_noise(seats)
    entered = 0
    for _ in range(30):
        queue.arrive("quiet", 1, 100, 0.3)
    while ticket := queue.next(seats, 0.3):
        assert (ticket.flow.tenant, ticket.first) == ("quiet", True)
        entered += 1
    assert 20 / 2 <= 1 + entered <= room(20) / 2, "its share, and not much more"
    assert queue.seated <= room(20)


def test_what_one_had_beyond_its_share_is_not_filled_again_for_it() -> None:
    seats = Seats(20)
    queue, quiet = full_of_noise(seats)
    newcomer = queue.arrive("quiet", 1, 100, 0.3)
    assert queue.next(seats, 0.3) is newcomer
    queue.leave(quiet, 100, 0.3)
    assert queue.next(seats, 0.3) is None, "twenty are seated"
    queue.leave(newcomer, 100, 0.3)
    again = queue.next(seats, 0.3)
    assert again is not None
    assert (again.flow.tenant, again.first) == ("noisy", False)


def test_when_nobody_else_is_about_any_more_all_is_the_last_ones() -> None:
    seats = Seats(20)
    queue, quiet = full_of_noise(seats)
    queue.leave(quiet, 100, 0.3)
    while queue.next(seats, 0.5 + LATELY_S):
        pass
    assert queue.seated == 20 + 20 // SPARE


def test_few_seats_do_not_make_a_tenant_with_long_prompts_one_below_its_share() -> None:
    seats, queue = Seats(20), FairQueue()
    for number in range(40):
        for tenant, tokens in (("long", 5000), ("short", 50)):
            ticket = queue.arrive(tenant, 1, tokens, 0.1 * number)
            assert queue.next(seats, 0.1 * number) is ticket
            if number > 1:  # both have been seen by then
                assert ticket.first == (tenant == "short")
            queue.leave(ticket, tokens, 0.1 * number + 0.05)


def test_another_gateway_counts_for_its_part_at_most() -> None:
    queue = FairQueue()
    for _ in range(50):
        queue.arrive("a", 1, 1, 0.0)
    while queue.next(Seats(20, taken=30, gateways=2), 0.0):
        pass
    assert queue.seated == 10 + 20 // SPARE, "it is alone here"


def test_what_was_used_more_than_reckoned_is_paid_by_the_next() -> None:
    queue, seats = FairQueue(), Seats(1)
    for tenant in ("a", "b"):
        for _ in range(4):
            queue.arrive(tenant, 1, 10, 0.0)
    order: list[str] = []
    while ticket := queue.next(seats, 0.0):
        order.append(ticket.flow.tenant)
        later = queue.arrive(ticket.flow.tenant, 1, 10, 0.0) if len(order) < 8 else None
        queue.leave(ticket, 30 if ticket.flow.tenant == "a" else 10, 0.0)
        if later is None:
            break
    assert order.count("b") >= order.count("a")


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["arrive", "over", "give up", "pass"]),
        st.sampled_from("abc"),
        st.integers(1, 300),
    ),
    max_size=150,
)


class Crowd:
    """A queue and everybody in it."""

    def __init__(self) -> None:
        self.queue = FairQueue()
        self.now = 0.0
        self.waiting: list[Ticket] = []
        self.seated: list[Ticket] = []

    def do(self, step: str, tenant: str, amount: int) -> None:
        if step == "arrive":
            self.waiting.append(self.queue.arrive(tenant, 1 + amount % 3, amount, self.now))
        elif step == "over" and self.seated:
            self.queue.leave(self.seated.pop(amount % len(self.seated)), amount, self.now)
        elif step == "give up" and self.waiting:
            self.queue.leave(self.waiting.pop(amount % len(self.waiting)), 0, self.now)
        elif step == "pass":
            self.now += amount / 30

    def let_in(self, seats: Seats) -> None:
        while entered := self.queue.next(seats, self.now):
            self.waiting.remove(entered)
            self.seated.append(entered)

    def go(self) -> None:
        for ticket in (*self.waiting, *self.seated):
            self.queue.leave(ticket, 0, self.now)


@given(STEPS, st.integers(1, 12))
@settings(deadline=None)
def test_whatever_happens_no_seat_stays_empty_and_nobody_is_forgotten(
    steps: list[tuple[str, str, int]], capacity: int
) -> None:
    crowd = Crowd()
    for step in steps:
        crowd.do(*step)
        crowd.let_in(Seats(capacity))
        queue = crowd.queue
        assert (queue.seated, queue.waiting) == (len(crowd.seated), len(crowd.waiting))
        assert queue.seated <= max(room(capacity), capacity + max(1, capacity // SPARE))
        if crowd.waiting:
            assert queue.seated >= capacity, "no seat stays empty"
    crowd.go()
    assert (crowd.queue.seated, crowd.queue.waiting, crowd.queue._backlog) == (0, 0, {})
    later = crowd.now + 3 * LATELY_S
    for number in range(FORGET_FROM):
        crowd.queue.leave(crowd.queue.arrive(f"passer-by {number}", 1, 1, later), 0, later)
    assert not {"a", "b", "c"} & crowd.queue._flows.keys(), "who owes nothing is forgotten"


def backlog(queue: FairQueue, seats: Seats, waiting: int) -> Ticket:
    """Two a second are over while so many wait; the last of those that wait."""
    last = [queue.arrive("a", 1, 10, 0.0) for _ in range(waiting + 12)][-1]
    for number in range(12):
        seated = queue.next(seats, number * 0.5)
        assert seated is not None
        queue.leave(seated, 10, number * 0.5)
    return last


def test_what_is_to_be_waited_is_told_by_how_fast_requests_are_over() -> None:
    queue, seats = FairQueue(), Seats(1)
    last = backlog(queue, seats, waiting=8)
    assert queue.expected_s(last, 6.0) == pytest.approx(4, rel=0.3), "eight at two a second"


def test_how_fast_requests_were_over_that_nobody_waited_for_refuses_nobody() -> None:
    """A tenant that asks now and then is answered now and then: so says nothing of a burst."""
    queue, seats = FairQueue(), Seats(10)
    for number in range(20):
        ticket = queue.arrive("a", 1, 10, number * 0.25)
        assert queue.next(seats, number * 0.25) is ticket
        queue.leave(ticket, 10, number * 0.25)
    burst = [queue.arrive("a", 1, 10, 5.0) for _ in range(100)]
    assert queue.refused_after_s(burst[-1], max_wait_s=2.0, max_waiting=1000, now=5.0) is None
