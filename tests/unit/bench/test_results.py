import pytest

from serve_app.bench.plan import Side
from serve_app.bench.results import Kind, Measure, cores, measures, percentile
from tests.unit.bench.samples import samples


def by_kind() -> dict[Kind, Measure]:
    return {one.kind: one for one in measures(samples())}


def test_every_kind_is_measured_under_the_loads_it_is_about() -> None:
    assert [(one.kind, one.streams) for one in measures(samples())] == [
        (Kind.TOKENS, 2),
        (Kind.FIRST_P50, 2),
        (Kind.FIRST_P99, 2),
        (Kind.REQUESTS, 4),
        (Kind.CPU, 2),
    ]


def test_rates_are_medians_so_that_one_slow_round_does_not_count() -> None:
    tokens, requests = by_kind()[Kind.TOKENS], by_kind()[Kind.REQUESTS]
    assert tokens.value == {Side.OURS: 50.0, Side.BARE: 100.0}
    assert requests.value == {Side.OURS: 10.0, Side.BARE: 20.0}
    assert tokens.rounds[Side.BARE] == [100.0, 100.0, 20.0]


def test_a_ratio_is_ours_to_bare() -> None:
    assert by_kind()[Kind.TOKENS].ratio == pytest.approx(0.5)
    assert by_kind()[Kind.CPU].ratio == pytest.approx(3.0)


def test_first_tokens_of_all_rounds_are_ranked_together() -> None:
    assert by_kind()[Kind.FIRST_P50].value[Side.BARE] == pytest.approx(100)
    assert by_kind()[Kind.FIRST_P99].value[Side.BARE] == pytest.approx(500)


def test_cpu_time_outside_the_engine_leaves_out_engine_client_and_strangers() -> None:
    assert by_kind()[Kind.CPU].value == pytest.approx({Side.OURS: 3.0, Side.BARE: 1.0})


def test_cores_are_cpu_time_by_wall_time() -> None:
    assert cores(samples(), lambda sample: sample.idle_s) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("share", "expected"), [(0.01, 1), (0.5, 2), (0.51, 3), (0.75, 3), (0.99, 4), (1.0, 4)]
)
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: int) -> None:
    assert percentile([4, 3, 2, 1], share) == expected
