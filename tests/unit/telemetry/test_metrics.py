from typing import Any

import pytest

from serve_app.routing.policy import Delay
from serve_app.telemetry import gateway_metrics, metrics
from serve_app.telemetry.gateway_metrics import MAX_LABELS, Bounded, GatewayMetrics
from serve_app.telemetry.metrics import ControlMetrics, ReplicaMetrics


class Recorder:
    """Stands for every kind of Ray's metrics.

    Attributes:
        recorded: name, value and labels, in order.
    """

    recorded: list[tuple[str, float, dict[str, str]]]

    def __init__(self, name: str, description: str, *args: Any, **options: Any) -> None:
        assert description.endswith("."), "a description is a sentence"
        keys = args[0] if args else options.get("tag_keys", ())
        self._name, self._keys = name, set(keys)

    def inc(self, value: float = 1, tags: dict[str, str] | None = None) -> None:
        self._record(value, tags or {})

    def observe(self, value: float, tags: dict[str, str] | None = None) -> None:
        self._record(value, tags or {})

    def set(self, value: float, tags: dict[str, str] | None = None) -> None:
        self._record(value, tags or {})

    def _record(self, value: float, tags: dict[str, str]) -> None:
        assert tags.keys() == self._keys, f"{self._name} has the labels {self._keys}"
        self.recorded.append((self._name, value, tags))


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, float, dict[str, str]]]:
    Recorder.recorded = []
    for kind in ("Counter", "Gauge", "Histogram"):
        for module in (gateway_metrics, metrics):
            monkeypatch.setattr(module, kind, Recorder)
    return Recorder.recorded


def test_the_first_values_keep_their_name_and_all_later_ones_share_one() -> None:
    bounded = Bounded(2)
    assert [bounded.label(value) for value in "abcabd"] == ["a", "b", "other", "a", "b", "other"]


def test_labels_stay_bounded_however_many_tenants_come(recorded: list[Any]) -> None:
    gateway = GatewayMetrics()
    for number in range(MAX_LABELS * 3):
        gateway.answered(f"tenant-{number}", "ok", 1, 1, 0, 0.1)
    labels = {tags["tenant"] for _, _, tags in recorded}
    assert len(labels) == MAX_LABELS + 1
    assert "other" in labels


def test_labels_stay_bounded_however_often_an_experiment_is_made_anew(
    recorded: list[Any],
) -> None:
    gateway = GatewayMetrics()
    for number in range(MAX_LABELS * 3):
        gateway.assigned("tone", f"arm-{number}")
    assert len({tags["arm"] for _, _, tags in recorded}) == MAX_LABELS + 1


def test_an_answer_is_counted_with_its_tokens_and_its_first_byte(recorded: list[Any]) -> None:
    GatewayMetrics().answered("acme", "ok", 3, 2, 0, 0.5)
    assert recorded == [
        ("serve_app_requests_total", 1, {"tenant": "acme", "outcome": "ok"}),
        ("serve_app_tokens_total", 3, {"tenant": "acme", "kind": "prompt"}),
        ("serve_app_tokens_total", 2, {"tenant": "acme", "kind": "completion"}),
        ("serve_app_time_to_first_token_seconds", 0.5, {"tenant": "acme"}),
    ]


def test_a_stranger_s_refusal_is_counted_for_nobody(recorded: list[Any]) -> None:
    GatewayMetrics().answered(None, "invalid_api_key")
    assert recorded == [
        ("serve_app_requests_total", 1, {"tenant": "none", "outcome": "invalid_api_key"})
    ]


def test_a_placement_is_counted_by_its_reason(recorded: list[Any]) -> None:
    GatewayMetrics().placed("spill")
    assert recorded == [("serve_app_placements_total", 1, {"reason": "spill"})]


def test_an_expected_delay_is_counted_by_those_causes_that_there_are(recorded: list[Any]) -> None:
    GatewayMetrics().expected(Delay(load_s=0.5, slot_s=0.0, queue_s=0.25, busy_s=0.125), None)
    assert recorded == [
        ("serve_app_expected_delay_seconds_total", 0.5, {"cause": "load"}),
        ("serve_app_expected_delay_seconds_total", 0.25, {"cause": "queue"}),
        ("serve_app_expected_delay_seconds_total", 0.125, {"cause": "busy"}),
    ]


@pytest.mark.parametrize(
    ("first_byte_s", "error_s", "direction"),
    [(1.0, 0.25, "later"), (0.75, 0.0, "later"), (0.5, 0.25, "sooner")],
)
def test_a_stream_is_compared_with_what_was_expected_to_keep_it_waiting(
    recorded: list[Any], first_byte_s: float, error_s: float, direction: str
) -> None:
    delay = Delay(load_s=0.5, slot_s=0.125, queue_s=0.125, busy_s=4.0)
    GatewayMetrics().expected(delay, first_byte_s)
    assert recorded[-1] == (
        "serve_app_first_token_error_seconds",
        error_s,
        {"direction": direction},
    )


def test_what_routing_alone_did_not_do_is_counted(recorded: list[Any]) -> None:
    gateway = GatewayMetrics()
    gateway.shed("acme")
    gateway.queued("acme", 0.5)
    gateway.waiting(2)
    gateway.copied()
    gateway.prefetched(True)
    gateway.prefetched(False)
    gateway.replicas(3)
    assert recorded == [
        ("serve_app_shed_total", 1, {"tenant": "acme"}),
        ("serve_app_queue_seconds", 0.5, {"tenant": "acme"}),
        ("serve_app_queued_requests", 2, {}),
        ("serve_app_copies_total", 1, {}),
        ("serve_app_prefetches_total", 1, {"useful": "yes"}),
        ("serve_app_prefetches_total", 1, {"useful": "no"}),
        ("serve_app_replicas_answering", 3, {}),
    ]


def test_a_replica_counts_loads_by_phase_and_evictions_by_reason(recorded: list[Any]) -> None:
    replica = ReplicaMetrics()
    replica.loaded(0.5, 0.25, 0.125)
    replica.load_failed()
    replica.evicted("room")
    assert recorded == [
        ("serve_app_cold_loads_total", 1, {}),
        ("serve_app_cold_load_seconds", 0.5, {"phase": "stage"}),
        ("serve_app_cold_load_seconds", 0.25, {"phase": "read"}),
        ("serve_app_cold_load_seconds", 0.125, {"phase": "engine"}),
        ("serve_app_failed_loads_total", 1, {}),
        ("serve_app_evictions_total", 1, {"reason": "room"}),
    ]


def test_a_replica_tells_what_it_holds_and_sends(recorded: list[Any]) -> None:
    replica = ReplicaMetrics()
    replica.holds(resident=7, active=3, pinned=2, waiting=1)
    replica.sent(0)
    replica.sent(4)
    assert [(name, value) for name, value, _ in recorded] == [
        ("serve_app_resident_adapters", 7),
        ("serve_app_active_adapters", 3),
        ("serve_app_pinned_adapters", 2),
        ("serve_app_waiting_leases", 1),
        ("serve_app_bus_frames_per_message", 4),
    ]


def test_arms_and_shadows_are_counted(recorded: list[Any]) -> None:
    gateway = GatewayMetrics()
    gateway.assigned("tone", "b")
    gateway.shadowed("tone", "no_room")
    assert recorded == [
        ("serve_app_arm_requests_total", 1, {"experiment": "tone", "arm": "b"}),
        ("serve_app_shadow_copies_total", 1, {"experiment": "tone", "outcome": "no_room"}),
    ]


def test_ray_takes_every_metric_as_it_is_declared() -> None:
    gateway, replica = GatewayMetrics(), ReplicaMetrics()
    gateway.answered("acme", "ok", 3, 2, 0, 0.5)
    gateway.placed("home")
    gateway.expected(Delay(0.5, 0.1, 0.1, 0.1), 0.25)
    gateway.shed("acme")
    gateway.copied()
    gateway.prefetched(True)
    gateway.replicas(2)
    gateway.assigned("tone", "b")
    gateway.shadowed("tone", "ok")
    replica.loaded(0.5, 0.25, 0.125)
    replica.load_failed()
    replica.evicted("room")
    replica.holds(resident=1, active=1, pinned=0, waiting=0)
    replica.sent(1)


def test_a_registration_counts_by_how_it_ended_and_how_long_it_took(recorded: list[Any]) -> None:
    ControlMetrics().registered("adapter_rank_too_large", 0.4)
    assert recorded == [
        ("serve_app_registrations_total", 1, {"outcome": "adapter_rank_too_large"}),
        ("serve_app_registration_seconds", 0.4, {}),
    ]


def test_control_tells_what_the_registry_holds(recorded: list[Any]) -> None:
    ControlMetrics().holds(3, {"live": 3, "gone": 1}, 5)
    assert ("serve_app_adapters", 3, {}) in recorded
    assert ("serve_app_versions", 1, {"state": "gone"}) in recorded
    assert ("serve_app_followers", 5, {}) in recorded
