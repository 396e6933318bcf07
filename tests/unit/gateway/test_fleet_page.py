"""What an operator is told of the fleet."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import pytest

from serve_app.gateway.fleet_page import HOLDERS_NAMED, HOMES_NAMED, fleet_page
from serve_app.gateway.fleet_schema import FleetPage
from serve_app.routing.homes import Homes
from serve_app.routing.messages import BusMessage, Call, News, Reply
from serve_app.routing.placements import Placements
from serve_app.routing.policy import Choice, Delay, Reason
from serve_app.routing.view import TYPICAL, Costs
from serve_app.telemetry.access_log import Access
from tests.unit.fake_gateway import ACME_KEY, ROOT_KEY, Site, a_site
from tests.unit.fakes import FakeReplicas, a_version, news_of

FINANCE, LEGAL = a_version("finance").name, a_version("legal").name
SECRET = "the quarter's secret"
BUSY = News(
    holds=frozenset({FINANCE, LEGAL}),
    in_flight={"g": 2, "h": 1},
    capacity=4,
    waiting=1,
    kv_usage=0.5,
    loading=frozenset({LEGAL}),
    active=frozenset({FINANCE, LEGAL}),
    load_s=0.25,
    engine_lists=1,
    max_loras=1,
    waiting_tokens=64,
    requests={FINANCE: 2, LEGAL: 1},
    costs=Costs(stage_s=0.125, disk_s=0.25, prompt_token_s=0.00012345),
)


def a_page(
    told: Mapping[str, News], placements: Placements | None = None, limit: int = 100, **of: Any
) -> FleetPage:
    latest = (placements or Placements(lambda: 100.0)).latest()
    return fleet_page("g", told, latest, 100.0, limit, **of)


def placed(memory: Placements, adapter: str | None, replica: str = "r1", **access: Any) -> None:
    choice = Choice(replica, Reason.COLD, Delay(0.5, 0.25, 0.125, 0.0625))
    memory.note(adapter, choice, Reply(200, cold_load_s=0.4), Access("id", "/x", 200, **access))


def test_a_replica_is_shown_with_its_load_its_slots_and_what_things_take_there() -> None:
    (one,) = a_page({"r1": BUSY}).replicas
    assert (one.replica, one.alive, one.in_flight, one.capacity) == ("r1", True, 3, 4)
    assert (one.waiting, one.waiting_tokens, one.kv_usage, one.utilisation) == (1, 64, 0.5, 0.75)
    assert (one.adapters, one.loading, one.engine_lists) == ([FINANCE, LEGAL], [LEGAL], 1)
    assert one.requests == {FINANCE: 2, LEGAL: 1}
    assert (one.load_s, one.costs) == (0.25, BUSY.costs)


def test_more_active_adapters_than_slots_use_every_slot() -> None:
    (one,) = a_page({"r1": BUSY}).replicas
    assert (len(one.active), one.slots_used, one.max_loras) == (2, 1, 1)


def test_an_adapter_is_shown_with_its_homes_and_where_it_is() -> None:
    told = {f"r{n}": news_of([FINANCE] if n else []) for n in range(6)} | {"r9": BUSY}
    finance = next(one for one in a_page(told).adapters if one.adapter == FINANCE)
    assert finance.homes == Homes().order(FINANCE, told)[:HOMES_NAMED]
    assert (finance.holders, finance.held_by) == (["r1", "r2", "r3", "r4", "r5", "r9"], 6)
    assert finance.requests == 2
    legal = next(one for one in a_page(told).adapters if one.adapter == LEGAL)
    assert (legal.holders, legal.held_by, legal.loading) == ([], 0, ["r9"])


def test_a_dead_replica_is_nobody_s_home_and_holds_nothing() -> None:
    page = a_page({"r1": news_of([FINANCE], alive=False), "r2": news_of()})
    assert [(one.homes, one.holders) for one in page.adapters] == [(["r2"], [])]
    assert [one.alive for one in page.replicas] == [False, True]


def test_a_placement_says_why_and_what_was_expected_and_what_it_was() -> None:
    memory = Placements(lambda: 100.0)
    placed(memory, FINANCE, first_byte_s=0.9, duration_s=2.0)
    (adapter,) = a_page({}, memory).adapters
    (one,) = adapter.placements
    assert (one.at, one.request_id, one.replica, one.reason) == (98.0, "id", "r1", "cold")
    assert one.expected.model_dump() == {
        "wait_s": 0.875,
        "load_s": 0.5,
        "slot_s": 0.25,
        "queue_s": 0.125,
        "busy_s": 0.0625,
        "total_s": 0.9375,
    }
    assert (one.streamed, one.first_byte_s, one.cold_load_s) == (True, 0.9, 0.4)
    assert (one.duration_s, one.outcome) == (2.0, "ok")


def test_what_came_last_comes_first_whatever_ended_last() -> None:
    memory = Placements(lambda: 100.0)
    for adapter, duration_s in ((LEGAL, 2.0), (FINANCE, 1.0), (FINANCE, 9.0), (LEGAL, 5.0)):
        placed(memory, adapter, duration_s=duration_s)
    page = a_page({}, memory)
    assert [(a.adapter, [one.at for one in a.placements]) for a in page.adapters] == [
        (FINANCE, [99.0, 91.0]),
        (LEGAL, [98.0, 95.0]),
    ]


def test_what_was_asked_for_last_comes_first_and_then_what_is_held() -> None:
    memory = Placements(lambda: 100.0)
    for adapter in (LEGAL, None, FINANCE):
        placed(memory, adapter)
    page = a_page({"r1": news_of([FINANCE, "held@1", "also@1"])}, memory)
    assert [one.adapter for one in page.adapters] == [FINANCE, "base", LEGAL, "also@1", "held@1"]
    assert (page.adapters[1].homes, page.adapters[1].holders) == ([], ["r1"])


@pytest.mark.parametrize("asked", ["finance", FINANCE])
def test_one_adapter_can_be_asked_for_alone(asked: str) -> None:
    memory = Placements(lambda: 100.0)
    placed(memory, LEGAL)
    page = a_page({"r1": BUSY, "r2": news_of()}, memory, adapter=asked)
    assert [one.adapter for one in page.adapters] == [FINANCE]
    assert [one.adapters for one in page.replicas] == [[FINANCE], []]
    assert [one.requests for one in page.replicas] == [{FINANCE: 2}, {}]
    assert page.replicas[0].loading == []


def test_a_page_has_its_bounds_and_says_what_is_not_on_it() -> None:
    told = {f"r{n}": news_of(f"a{k}@1" for k in range(9)) for n in range(HOLDERS_NAMED + 1)}
    page = a_page(told, limit=4)
    assert (len(page.adapters), page.left_out) == (4, 5)
    assert {(len(one.holders), one.held_by) for one in page.adapters} == {
        (HOLDERS_NAMED, HOLDERS_NAMED + 1)
    }


def test_the_example_in_the_document_of_the_api_is_a_page() -> None:
    example = FleetPage.model_json_schema()["example"]
    assert FleetPage.model_validate(example).model_dump() == example


async def _slow_stream(replicas: FakeReplicas, call: Call, replica: str) -> Reply:
    replicas.send(replica, call, b"data: 1\n\n", None)
    return Reply(200, cold_load_s=0.5)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    replicas = FakeReplicas("r1", "r2")

    async def answer(call: Call, replica: str) -> Reply:
        if call.body.get("stream"):
            return await _slow_stream(replicas, call, replica)
        return Reply(200, b'{"id":"1"}')

    replicas.answer = answer
    async with a_site(replicas) as site:
        yield site


async def _fleet(site: Site, query: str = "") -> FleetPage:
    response = await site.get(f"/admin/v1/fleet{query}", ROOT_KEY)
    assert response.headers["content-type"] == "application/json"
    return FleetPage.model_validate_json(response.content)


async def test_every_request_is_seen_where_it_went_with_the_reason_it_was_told(site: Site) -> None:
    responses = [await site.post(messages=[], headers={"x-request-id": f"id-{n}"}) for n in (1, 2)]
    (adapter,) = (await _fleet(site)).adapters
    assert adapter.adapter == FINANCE
    assert [one.request_id for one in adapter.placements] == ["id-2", "id-1"]
    for one, response in zip(adapter.placements, reversed(responses), strict=True):
        assert one.replica == response.headers["x-serve-replica"]
        assert one.reason == response.headers["x-serve-placement"]
        assert (one.outcome, one.streamed) == ("ok", False)
        assert one.first_byte_s is not None
        assert one.first_byte_s <= one.duration_s
    warm, cold = (one.expected.load_s for one in adapter.placements)
    assert warm == TYPICAL.swap_s < TYPICAL.load_s < cold


async def test_a_stream_is_seen_with_its_first_byte_and_its_load(site: Site) -> None:
    await site.post(messages=[], stream=True)
    ((one,),) = [adapter.placements for adapter in (await _fleet(site)).adapters]
    assert (one.streamed, one.cold_load_s, one.outcome) == (True, 0.5, "ok")
    assert one.first_byte_s is not None
    ((expected_s, first_byte_s),) = site.metrics.waits
    assert expected_s == pytest.approx(one.expected.total_s, abs=1e-4)
    assert first_byte_s == pytest.approx(one.first_byte_s, abs=1e-4)


async def test_neither_prompts_nor_keys_are_on_the_page(site: Site) -> None:
    await site.post(messages=[{"role": "user", "content": SECRET}])
    text = (await site.get("/admin/v1/fleet", ROOT_KEY)).text
    assert FINANCE in text
    assert SECRET not in text
    assert ACME_KEY not in text


async def test_the_page_can_be_narrowed_to_an_adapter(site: Site) -> None:
    await site.post()
    await site.post(key=ROOT_KEY, model="legal")
    assert [one.adapter for one in (await _fleet(site)).adapters] == [LEGAL, FINANCE]
    assert [one.adapter for one in (await _fleet(site, "?adapter=finance")).adapters] == [FINANCE]
    assert (await _fleet(site, "?adapter=nobody")).adapters == []
    assert (await _fleet(site, "?limit=1")).left_out == 1


@pytest.mark.parametrize("query", ["?limit=0", "?limit=1001", f"?adapter={'x' * 256}"])
async def test_a_query_beyond_the_bounds_is_refused(site: Site, query: str) -> None:
    assert (await site.get(f"/admin/v1/fleet{query}", ROOT_KEY)).status_code == 400


async def test_the_document_of_the_api_shows_the_page(site: Site) -> None:
    document = (await site.client.get("/openapi.json")).json()
    operation = document["paths"]["/admin/v1/fleet"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    assert schema == {"$ref": "#/components/schemas/FleetPage"}
    assert document["components"]["schemas"]["FleetPage"]["example"]["replicas"]
    assert {one["name"] for one in operation["parameters"]} == {"adapter", "limit"}


async def test_news_that_come_while_it_is_looked_at_are_on_the_next_page(site: Site) -> None:
    assert [one.in_flight for one in (await _fleet(site)).replicas] == [0, 0]
    site.replicas.buses["r1"].traffic.put_nowait(BusMessage([], BUSY))
    while (await _fleet(site)).replicas[0].in_flight != 3:
        pass
