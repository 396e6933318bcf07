"""The policy as Serve builds, pickles and asks it, from the config that ships."""

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.serve._private.autoscaling_state import _resolve_policy_callable
from ray.serve._private.common import DeploymentID, ReplicaID, TimeStampedValue
from ray.serve.autoscaling_policy import _apply_autoscaling_config
from ray.serve.config import AutoscalingConfig, AutoscalingContext

from serve_app.routing.autoscaler import LoadPolicy
from serve_app.routing.scaling import USUAL, Load, Targets, stats
from tests.unit.fakes import news_of

ENGINE = DeploymentID("engine", "serve_app")
NOW = 1000.0
BUSY = Load(seats=1.2)
IDLE = Load()


def prod(**changes: Any) -> AutoscalingConfig:
    path = Path(__file__).parents[3] / "configs" / "prod.yaml"
    (application,) = yaml.safe_load(path.read_text())["applications"]
    (engine,) = [one for one in application["deployments"] if one["name"] == "engine"]
    return AutoscalingConfig(**{**engine["autoscaling_config"], **changes})


def a_context(
    *told: Load | None,
    age_s: float = 1.0,
    target: int | None = None,
    config: AutoscalingConfig | None = None,
) -> AutoscalingContext:
    """Serve's own, with a replica for each load; None for one that has told nothing."""
    config = config or prod()
    replicas = [ReplicaID(f"r{n}", ENGINE) for n in range(len(told))]
    metrics: dict[str, dict[ReplicaID, list[TimeStampedValue]]] = {}
    for replica, load in zip(replicas, told, strict=True):
        for kind, value in (asdict(load) if load else {}).items():
            points = [TimeStampedValue(NOW - age_s - back, value) for back in (12, 6, 0)]
            metrics.setdefault(kind, {})[replica] = points
    return AutoscalingContext(
        deployment_id=ENGINE,
        deployment_name="engine",
        app_name="serve_app",
        current_num_replicas=len(told),
        target_num_replicas=len(told) if target is None else target,
        running_replicas=replicas,
        total_num_requests=0.0,
        total_queued_requests=0.0,
        aggregated_metrics=None,
        raw_metrics=lambda: metrics,
        capacity_adjusted_min_replicas=config.min_replicas,
        capacity_adjusted_max_replicas=config.max_replicas,
        policy_state={},
        last_scale_up_time=None,
        last_scale_down_time=None,
        current_time=NOW,
        config=config,
    )


def wanted(context: AutoscalingContext) -> int:
    number, _ = LoadPolicy()(context)
    return number


def test_the_config_that_ships_names_it_with_the_usual_targets() -> None:
    policy = prod().policy
    assert policy.policy_function == "serve_app.routing.autoscaler:LoadPolicy"
    assert Targets.parse(policy.policy_kwargs) == USUAL


def test_as_serve_pickles_it_it_still_asks_for_what_the_load_needs() -> None:
    config = prod(upscale_delay_s=0)
    decide = _apply_autoscaling_config(_resolve_policy_callable(config.policy))
    number, state = decide(a_context(BUSY, BUSY, config=config))
    assert (number, state["wanted"]) == (4, 4)


def test_serve_waits_before_it_grants_a_wish() -> None:
    decide = _apply_autoscaling_config(LoadPolicy())
    number, state = decide(a_context(BUSY, BUSY))
    assert (number, state["wanted"]) == (2, 4)


@pytest.mark.parametrize("kind", Load.__dataclass_fields__)
def test_every_kind_of_load_that_a_replica_tells_is_heeded(kind: str) -> None:
    assert kind in stats(news_of())
    assert wanted(a_context(*[Load(**{kind: 1.5 * getattr(USUAL, kind)})] * 2)) == 3


def test_the_load_is_the_mean_of_what_was_told() -> None:
    context = a_context(BUSY)
    points = context.raw_metrics["seats"][context.running_replicas[0]]
    points[0].value = points[1].value = 0.0
    assert wanted(context) == 1


def test_a_replica_that_has_told_nothing_yet_keeps_the_fleet_as_it_is() -> None:
    assert wanted(a_context(IDLE, IDLE, None)) == 3
    assert wanted(a_context(IDLE, IDLE, IDLE)) == 2


def test_a_replica_that_stopped_telling_keeps_the_fleet_as_it_is() -> None:
    assert wanted(a_context(IDLE, IDLE, age_s=31)) == 2
    assert wanted(a_context(IDLE, IDLE, age_s=29)) == 1


def test_replicas_that_are_starting_are_not_asked_for_again() -> None:
    assert wanted(a_context(BUSY, BUSY, target=4)) == 4


def test_the_last_replica_stays_for_nothing_would_bring_it_back() -> None:
    assert wanted(a_context(IDLE, config=prod(min_replicas=0))) == 1


def test_a_change_of_mind_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    context, policy = a_context(BUSY, BUSY), LoadPolicy()
    with caplog.at_level(logging.INFO, "ray.serve"):
        for _ in range(3):
            _, context.policy_state = policy(context)
    assert caplog.messages == ["of 2, load wants 4 replicas: seats ask for 4.00; 0 told nothing"]
