"""The Grafana dashboard, one panel a metric. ``python -m serve_app.telemetry.dashboard``."""

import json
import sys
from dataclasses import dataclass
from typing import Any

_WIDTH, _HEIGHT, _COLUMNS = 12, 8, 2


@dataclass(frozen=True, slots=True)
class Panel:
    """One question an operator asks, and the PromQL that answers it, by legend."""

    title: str
    unit: str
    queries: dict[str, str]


def _rate(metric: str, labels: str) -> str:
    return f"sum by ({labels}) (rate(ray_{metric}[1m]))"


def _total_rate(metric: str) -> str:
    return f"sum(rate(ray_{metric}[1m]))"


def _quantile(q: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({q}, sum by (le{by}) (rate(ray_{metric}_bucket[1m])))"


def _highest(metric: str) -> str:
    return f"max by (replica) (ray_{metric})"


PANELS = (
    Panel(
        "Requests by tenant and outcome",
        "reqps",
        {"{{tenant}} {{outcome}}": _rate("serve_app_requests_total", "tenant, outcome")},
    ),
    Panel(
        "Tokens by tenant",
        "short",
        {"{{tenant}} {{kind}}": _rate("serve_app_tokens_total", "tenant, kind")},
    ),
    Panel(
        "Time to first token",
        "s",
        {
            "p50": _quantile(0.5, "serve_app_time_to_first_token_seconds"),
            "p99": _quantile(0.99, "serve_app_time_to_first_token_seconds"),
            "p99 {{tenant}}": _quantile(0.99, "serve_app_time_to_first_token_seconds", ", tenant"),
        },
    ),
    Panel(
        "Requests refused by limits",
        "reqps",
        {"{{subject}}: {{limit}}": _rate("serve_app_limited_total", "subject, limit")},
    ),
    Panel(
        "Waiting for a turn at a full fleet",
        "s",
        {
            "p50 {{tenant}}": _quantile(0.5, "serve_app_queue_seconds", ", tenant"),
            "p99 {{tenant}}": _quantile(0.99, "serve_app_queue_seconds", ", tenant"),
        },
    ),
    Panel(
        "Requests that wait for a turn", "short", {"waiting": "sum(ray_serve_app_queued_requests)"}
    ),
    Panel(
        "Records of usage",
        "short",
        {
            "{{fate}}": _rate("serve_app_usage_records_total", "fate"),
            "wait on disk": "sum(ray_serve_app_usage_spooled_records)",
        },
    ),
    Panel(
        "Placements by reason",
        "reqps",
        {"{{reason}}": _rate("serve_app_placements_total", "reason")},
    ),
    Panel(
        "Expected delay of a placement by cause",
        "s",
        {
            "{{cause}}": (
                f"{_rate('serve_app_expected_delay_seconds_total', 'cause')}"
                " / scalar(sum(rate(ray_serve_app_placements_total[1m])))"
            )
        },
    ),
    Panel(
        "First token against what was expected",
        "s",
        {
            "p50 {{direction}}": _quantile(
                0.5, "serve_app_first_token_error_seconds", ", direction"
            ),
            "p99 {{direction}}": _quantile(
                0.99, "serve_app_first_token_error_seconds", ", direction"
            ),
        },
    ),
    Panel(
        "Requests refused because they would wait too long",
        "reqps",
        {"{{tenant}}": _rate("serve_app_shed_total", "tenant")},
    ),
    Panel(
        "Copies of hot adapters begun in the background",
        "reqps",
        {"copies": _total_rate("serve_app_copies_total")},
    ),
    Panel(
        "Adapters fetched early, by whether it was of use",
        "reqps",
        {"useful: {{useful}}": _rate("serve_app_prefetches_total", "useful")},
    ),
    Panel(
        "Requests by experiment and arm",
        "reqps",
        {"{{experiment}} {{arm}}": _rate("serve_app_arm_requests_total", "experiment, arm")},
    ),
    Panel(
        "Copies for shadow arms, by what became of them",
        "reqps",
        {
            "{{experiment}} {{outcome}}": _rate(
                "serve_app_shadow_copies_total", "experiment, outcome"
            )
        },
    ),
    Panel(
        "Replicas that answer, as each gateway sees it",
        "short",
        {"{{replica}}": _highest("serve_app_replicas_answering")},
    ),
    Panel("Cold loads", "reqps", {"{{replica}}": _rate("serve_app_cold_loads_total", "replica")}),
    Panel(
        "Duration of loads by phase",
        "s",
        {
            "p50 {{phase}}": _quantile(0.5, "serve_app_cold_load_seconds", ", phase"),
            "p99 {{phase}}": _quantile(0.99, "serve_app_cold_load_seconds", ", phase"),
        },
    ),
    Panel(
        "Failed loads",
        "reqps",
        {"{{replica}}": _rate("serve_app_failed_loads_total", "replica")},
    ),
    Panel(
        "Adapters unloaded by reason",
        "reqps",
        {"{{reason}}": _rate("serve_app_evictions_total", "reason")},
    ),
    Panel(
        "Adapters by replica",
        "short",
        {
            "resident {{replica}}": _highest("serve_app_resident_adapters"),
            "active {{replica}}": _highest("serve_app_active_adapters"),
            "pinned {{replica}}": _highest("serve_app_pinned_adapters"),
        },
    ),
    Panel(
        "Requests that wait for their adapter",
        "short",
        {"{{replica}}": _highest("serve_app_waiting_leases")},
    ),
    Panel(
        "Requests that share a bus message",
        "short",
        {
            "p50": _quantile(0.5, "serve_app_bus_frames_per_message"),
            "p99": _quantile(0.99, "serve_app_bus_frames_per_message"),
        },
    ),
    Panel(
        "Registrations by outcome",
        "reqps",
        {"{{outcome}}": _rate("serve_app_registrations_total", "outcome")},
    ),
    Panel(
        "Duration of registrations",
        "s",
        {
            "p50": _quantile(0.5, "serve_app_registration_seconds"),
            "p99": _quantile(0.99, "serve_app_registration_seconds"),
        },
    ),
    Panel(
        "Adapters, and versions by state",
        "short",
        {
            "adapters": "max(ray_serve_app_adapters)",
            "{{state}}": "max by (state) (ray_serve_app_versions)",
        },
    ),
    Panel(
        "Gateways and replicas that follow the registry",
        "short",
        {"followers": "max(ray_serve_app_followers)"},
    ),
    Panel(
        "Limits go on without other sites: Redis is away",
        "short",
        {"apart": "max(ray_serve_app_limits_apart)"},
    ),
)


def dashboard() -> dict[str, Any]:
    """Grafana's JSON model, for import or provisioning."""
    return {
        "title": "serve_app",
        "uid": "serve-app",
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-30m", "to": "now"},
        "templating": {
            "list": [{"name": "datasource", "type": "datasource", "query": "prometheus"}]
        },
        "panels": [_panel(number, panel) for number, panel in enumerate(PANELS)],
    }


def _panel(number: int, panel: Panel) -> dict[str, Any]:
    row, column = divmod(number, _COLUMNS)
    return {
        "id": number + 1,
        "type": "timeseries",
        "title": panel.title,
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "gridPos": {"x": column * _WIDTH, "y": row * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + index), "expr": query, "legendFormat": legend}
            for index, (legend, query) in enumerate(panel.queries.items())
        ],
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(dashboard(), indent=2) + "\n")
