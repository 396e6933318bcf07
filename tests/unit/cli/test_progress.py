"""What a starting application's state is read from."""

from pathlib import Path
from typing import Any

from serve_app.cli.progress import Progress, progress, token


def details(status: str = "DEPLOYING", message: str = "", why: str = "") -> dict[str, Any]:
    """The part we read of Serve's ``GET /api/serve/applications/``."""
    replicas = [{"state": "RUNNING"}, {"state": "STARTING"}]
    engine = {"target_num_replicas": 2, "replicas": replicas, "message": why}
    app = {"status": status, "message": message, "deployments": {"engine": engine}}
    return {"applications": {"serve_app": app}}


def test_replicas_that_run_are_counted_against_those_wanted() -> None:
    assert str(progress(details())) == "engine 1/2"


def test_before_anything_is_known_ray_is_starting() -> None:
    assert str(progress({"applications": {}})) == str(Progress()) == "Ray is starting"


def test_a_failed_deployment_is_told_with_its_reason() -> None:
    failed = progress(details("DEPLOY_FAILED", "Failed to deploy.", "no such model"))
    assert failed.failure == "Failed to deploy.\nno such model"


def test_an_application_still_deploying_has_not_failed() -> None:
    assert progress(details(message="Deploying", why="slow")).failure is None


def test_rays_token_is_taken_from_where_ray_takes_it(tmp_path: Path) -> None:
    (tmp_path / ".ray").mkdir()
    assert token({}, tmp_path) == ""
    (tmp_path / ".ray" / "auth_token").write_text("default\n")
    (tmp_path / "elsewhere").write_text("named\n")
    assert token({}, tmp_path) == "default"
    assert token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "elsewhere")}, tmp_path) == "named"
    assert token({"RAY_AUTH_TOKEN": "given"}, tmp_path) == "given"
