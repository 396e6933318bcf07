"""Usage, recorded once on real databases."""

from collections.abc import Callable
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serve_app.control.sums import begin_of_day, begin_of_month, summed
from serve_app.tenancy.usage import Batch, By, Interval, ShowUsage
from tests.unit.control.bench import ADMIN, Bench
from tests.unit.control.desk import a_record

HOUR = 3600
AT = 1_795_600_000
DAY = begin_of_day(AT)


async def told(bench: Bench, **asked: Any) -> list[dict[str, Any]]:
    given = {"tenant": None, "start": 0, "end": 2 * AT, "interval": Interval.TOTAL, "by": ()}
    answer = await bench.control.manage(ShowUsage(ADMIN, **(given | asked)))
    assert answer.status == 200, answer.body
    rows: list[dict[str, Any]] = answer.body["data"]
    return rows


async def test_a_batch_counts_once_however_often_it_comes(bench: Bench) -> None:
    batch = Batch("g", 1, (a_record(), a_record(outcome="client_gone", first_token_s=None)))
    for _ in range(3):
        await bench.control.record(batch)
    await bench.restart()
    await bench.control.record(batch)
    (row,) = await told(bench)
    assert row == {
        "object": "usage",
        "start": None,
        "end": None,
        "requests": 2,
        "prompt_tokens": 20,
        "cached_tokens": 8,
        "completion_tokens": 10,
        "time_to_first_token_s": 0.5,
        "duration_s": 2.0,
    }


async def test_usage_is_told_apart_and_chosen_by_all_there_is(bench: Bench) -> None:
    await bench.control.record(
        Batch(
            "g",
            1,
            (
                a_record(tenant="a", adapter="x", at=DAY),
                a_record(tenant="a", adapter="y", at=DAY + HOUR, key="k2"),
                a_record(tenant="b", adapter="x", at=DAY + 26 * HOUR, version=2),
            ),
        )
    )
    by_tenant = await told(bench, by=(By.TENANT,))
    assert [(row["tenant"], row["requests"]) for row in by_tenant] == [("a", 2), ("b", 1)]
    days = await told(bench, interval=Interval.DAY)
    assert [(row["start"] - DAY, row["end"] - DAY, row["requests"]) for row in days] == [
        (0, 24 * HOUR, 2),
        (24 * HOUR, 48 * HOUR, 1),
    ]
    hours = await told(bench, interval=Interval.HOUR, by=(By.ADAPTER, By.VERSION), tenant="a")
    assert [(row["start"] - DAY, row["adapter"], row["version"]) for row in hours] == [
        (0, "x", 1),
        (HOUR, "y", 1),
    ]
    assert len(await told(bench, key="k2", by=(By.KEY,))) == 1
    assert [row["requests"] for row in await told(bench, adapter="x")] == [2]
    assert [row["requests"] for row in await told(bench, start=DAY + HOUR + 5)] == [2]
    assert [row["requests"] for row in await told(bench, end=DAY + HOUR)] == [1]


async def test_pages_follow_one_another(bench: Bench) -> None:
    records = tuple(a_record(adapter=f"a{n}") for n in range(5))
    await bench.control.record(Batch("g", 1, records))
    seen: list[str] = []
    offset: int | None = 0
    while offset is not None:
        question = ShowUsage(
            ADMIN, None, 0, AT, None, None, Interval.TOTAL, (By.ADAPTER,), limit=2, offset=offset
        )
        page = (await bench.control.manage(question)).body
        seen += [row["adapter"] for row in page["data"]]
        assert page["has_more"] == (page["next_offset"] is not None)
        offset = page["next_offset"]
    assert seen == [f"a{n}" for n in range(5)]


async def test_what_is_spent_is_known_by_tenant_and_by_key_and_after_a_restart(
    bench: Bench,
) -> None:
    bench.clock.now = AT
    before = begin_of_month(AT) - 10
    await bench.control.record(Batch("g", 1, (a_record(at=AT), a_record(at=before))))
    await bench.control.record(Batch("g", 2, (a_record(at=begin_of_month(AT), key="k2"),)))
    for _ in range(2):
        assert bench.control.spent(("tenant", "newco")) == (15, 30)
        assert bench.control.spent(("key", "k")) == (15, 15)
        assert bench.control.spent(("key", "k2")) == (0, 15)
        await bench.restart()
    bench.clock.now = AT + 40 * 86_400
    assert bench.control.spent(("tenant", "newco")) == (0, 0)


async def test_old_usage_is_let_go_of(bench: Bench) -> None:
    bench.clock.now = AT
    await bench.control.record(Batch("g", 1, (a_record(at=AT - 401 * 86_400), a_record(at=AT))))
    await bench.passes(61)
    assert [row["requests"] for row in await told(bench)] == [1]


RUNS = count()
"""A number for each example: all of them share a database."""
BATCHES = st.lists(
    st.tuples(st.sampled_from(["g1", "g2"]), st.integers(1, 3)), min_size=1, max_size=12
)


@given(BATCHES, st.sets(st.integers(0, 11), max_size=3))
@settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_in_whatever_order_batches_come_sums_are_exact(
    make: Callable[..., Any], deliveries: list[tuple[str, int]], crashes: set[int]
) -> None:
    bench = await make()
    try:
        before = sum(row["requests"] for row in await told(bench))
        run = f"-{next(RUNS)}"
        for place, (gateway, number) in enumerate(deliveries):
            records = tuple(a_record(request_id=f"{gateway}-{n}") for n in range(number))
            await bench.control.record(Batch(gateway + run, number, records))
            if place in crashes:
                await bench.restart()
        expected = sum(number for _, number in set(deliveries))
        assert sum(row["requests"] for row in await told(bench)) - before == expected
    finally:
        await bench.control._store.close()


def test_sums_are_by_the_hour_and_by_all_that_tells_requests_apart() -> None:
    sums = summed([a_record(at=DAY + 5), a_record(at=DAY + 3599), a_record(at=DAY + 3600)])
    assert [(place[0] - DAY, found["requests"]) for place, found in sums.items()] == [
        (0, 2),
        (HOUR, 1),
    ]


@pytest.mark.parametrize(
    ("at", "month"), [(1_767_225_600, 1_767_225_600), (1_769_903_999, 1_767_225_600)]
)
def test_a_month_begins_on_its_first_day(at: int, month: int) -> None:
    assert begin_of_month(at) == month
