"""Every metric has a panel, and the file in the repository is the one the code makes."""

import inspect
import json
import re

from serve_app.telemetry import dashboard, metrics
from tests.harness import REPOSITORY


def test_every_metric_has_a_panel() -> None:
    named = set(re.findall(r'"(serve_app_\w+)"', inspect.getsource(metrics)))
    assert len(named) >= 8
    queries = json.dumps([panel.queries for panel in dashboard.PANELS])
    assert {name for name in named if f"ray_{name}" not in queries} == set()


def test_the_dashboard_file_is_up_to_date() -> None:
    path = REPOSITORY / "configs" / "grafana" / "serve_app.json"
    assert json.loads(path.read_text()) == dashboard.dashboard(), (
        "run: python -m serve_app.telemetry.dashboard > configs/grafana/serve_app.json"
    )
