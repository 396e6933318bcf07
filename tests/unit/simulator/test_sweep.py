from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from serve_app.simulator import sweep_report as report
from serve_app.simulator.fleet import Setup
from serve_app.simulator.machine import GPU, Machine
from serve_app.simulator.sweep import Goal, Setting, Size, Traces, run, runs, size
from serve_app.simulator.workload import Traffic, steady

TRAFFIC = Traffic(rate=20.0, duration_s=10.0, adapters=10)
MACHINE = replace(GPU, stage_s=0.2, disk_s=0.05)
GOAL = Goal()


def _traces(seeds: int = 1) -> Traces:
    made = tuple(tuple(steady(TRAFFIC, Random(seed))) for seed in range(seeds))
    return Traces(made, warm_up=0.2)


def _setting(machine: Machine = MACHINE, policy: str = "serve_app") -> Setting:
    return Setting(policy, machine, None, Setup())


def test_a_table_has_every_setting_with_every_number_of_replicas() -> None:
    settings = [_setting(), _setting(policy="round robin")]
    found = list(runs(settings, [1, 2], _traces(), GOAL, jobs=1))
    assert [(one.setting.policy, one.replicas) for one in found] == [
        ("serve_app", 1),
        ("serve_app", 2),
        ("round robin", 1),
        ("round robin", 2),
    ]
    assert found == list(runs(settings, [1, 2], _traces(), GOAL, jobs=1)), "it is reproducible"


def test_seeds_are_averaged() -> None:
    both = _traces(2)
    alone = [Traces((one,), both.warm_up) for one in both.by_seed]
    result = run(_setting(), 2, both, GOAL).outcome
    assert result.requests == sum(run(_setting(), 2, one, GOAL).outcome.requests for one in alone)


def test_the_fewest_replicas_reach_the_share_and_one_less_does_not() -> None:
    found = size(_setting(), _traces(), GOAL, share=0.97, most=16)
    assert found.enough is not None
    assert found.fewer is not None
    assert found.enough.outcome.within >= 0.97 > found.fewer.outcome.within
    assert found.fewer.replicas == found.enough.replicas - 1
    words = report.in_words(found, 0.97)
    assert f"{found.enough.replicas} GPUs serve" in words
    assert f"{found.fewer.replicas} would serve" in words


def test_who_asks_for_more_never_needs_fewer() -> None:
    needed = []
    for share in (0.5, 0.9, 0.99):
        found = size(_setting(), _traces(), GOAL, share, most=16).enough
        assert found is not None
        needed.append(found.replicas)
    assert needed == sorted(needed)


def test_a_goal_that_no_number_reaches_is_said_with_what_is_reached() -> None:
    found = size(_setting(), _traces(), Goal(per_token_s=0.001), share=0.9, most=2)
    assert found.enough is None
    assert found.row()["replicas"] is None
    assert "more replicas do not reach 90%; 2 serve 0.0%" in report.in_words(found, 0.9)


def test_adapters_in_a_batch_cost_time() -> None:
    slow = run(_setting(replace(MACHINE, adapter_s=0.01)), 2, _traces(), GOAL).outcome
    fast = run(_setting(), 2, _traces(), GOAL).outcome
    assert slow.first_p50_s > fast.first_p50_s
    assert slow.within < fast.within


def test_pictures_and_csv_are_written_whatever_varies(tmp_path: Path) -> None:
    more = replace(MACHINE, max_loras=16)
    results = list(runs([_setting(), _setting(more)], [1, 2], _traces(), GOAL, jobs=1))
    none = Size(_setting(), None, results[0])
    for name, some in (("one", results[:1]), ("many", results)):
        report.draw_results(tmp_path / f"{name}.png", some, "title")
    report.draw_sizes(tmp_path / "none.png", [none], "title")
    report.write(tmp_path / "results.csv", [one.row() for one in results])
    for name in ("one", "many", "none"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert len((tmp_path / "results.csv").read_text().splitlines()) == 1 + len(results)


@pytest.mark.parametrize("replicas", [1, 2])
def test_good_requests_a_second_are_the_share_of_what_comes(replicas: int) -> None:
    result = run(_setting(), replicas, _traces(), GOAL)
    assert 0 <= result.good_rate <= _traces().rate == pytest.approx(20.0, rel=0.3)
