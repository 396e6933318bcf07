import pickle

import pytest

from serve_app.routing.fleet import Fleet
from serve_app.routing.messages import BusMessage, Fetch, Probe, Reply, Subscription, Usage
from tests.unit.fakes import a_call, a_version, news_of

REPLICAS = ("r1", "r2", "r3")


def test_a_call_leaves_the_gateways_half_behind() -> None:
    fleet = Fleet("me", lambda _: None)
    call = a_call(a_version(), fleet=fleet)
    call.body["messages"] = [{"role": "user", "content": "hello"}]
    call.prompt_tokens = 12
    fleet.place(call, REPLICAS)
    arrived = pickle.loads(pickle.dumps(call))
    assert (arrived.fleet, arrived.choice) == (None, None)
    assert (arrived.gateway, arrived.number, arrived.request_id, arrived.operation) == (
        *(call.gateway, call.number, call.request_id, call.operation),
    )
    assert (arrived.body, arrived.version, arrived.prompt_tokens) == (call.body, call.version, 12)


def test_a_call_goes_where_its_gateways_books_say() -> None:
    fleet = Fleet("me", lambda _: None)
    fleet.replicas_are(frozenset(REPLICAS))
    call = a_call(fleet=fleet)
    first = call.rank(REPLICAS)[0]
    assert fleet.outstanding() == 1
    call.routed("r3" if first == "r1" else "r1")
    assert call.choice is not None
    assert call.choice.replica != first


def test_a_call_that_arrived_is_booked_nowhere() -> None:
    arrived = pickle.loads(pickle.dumps(a_call()))
    arrived.routed("r1")
    assert arrived.choice is None


@pytest.mark.parametrize(
    ("replica", "order"),
    [("r2", ["r2"]), ("gone", []), (None, list(REPLICAS))],
    ids=["its replica and no other", "none when its replica has gone", "any for a first meeting"],
)
def test_a_subscription_goes_to(replica: str | None, order: list[str]) -> None:
    subscription = Subscription("me", replica)
    assert subscription.rank(REPLICAS) == order


def test_a_subscription_leaves_the_fleet_behind_and_is_booked_nowhere() -> None:
    fleet = Fleet("me", lambda _: None)
    subscription = Subscription("me", "r1", fleet)
    subscription.routed("r1")
    assert fleet.outstanding() == 0
    assert pickle.loads(pickle.dumps(subscription)) == Subscription("me", "r1")


def test_a_probe_goes_to_any_replica_and_is_booked_nowhere() -> None:
    fleet = Fleet("me", lambda _: None)
    probe = Probe(a_version(), fleet)
    assert probe.rank(REPLICAS) == list(REPLICAS)
    probe.routed("r1")
    assert fleet.outstanding() == 0
    assert pickle.loads(pickle.dumps(probe)) == Probe(a_version())


@pytest.mark.parametrize(
    ("reply", "streamed"),
    [(Reply(200), True), (Reply(200, b"{}"), False), (Reply(503), False), (Reply(400, b""), False)],
)
def test_an_answer_went_over_the_bus_when_nothing_came_with_its_reply(
    reply: Reply, streamed: bool
) -> None:
    assert reply.streamed is streamed


def test_replies_and_bus_messages_survive_the_wire() -> None:
    for message in (
        Reply(503, b"{}", Usage(1, 2), 0.5, retryable=True, headers={"Retry-After": "1"}),
        BusMessage([(1, b"data: x\n\n"), (2, None)], news_of(["acme"], me=3)),
    ):
        assert pickle.loads(pickle.dumps(message)) == message


def test_a_fetch_is_for_one_replica_and_stops_nobody_when_that_has_gone() -> None:
    fetch = Fetch(a_version(), "r2", Fleet("me", lambda _: None))
    assert fetch.rank(REPLICAS) == ["r2"]
    assert fetch.rank(("r1", "r3")) == ["r1", "r3"], "a router never gives up on an empty order"
    fetch.routed("r1")
    assert pickle.loads(pickle.dumps(fetch)) == Fetch(a_version(), "r2")
