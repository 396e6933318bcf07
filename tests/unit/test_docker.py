"""The image and the Compose file, as far as they can be checked without a Docker daemon."""

import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "configs" / "docker"
SECRETS = ("SERVE_APP_PEPPER", "EXAMPLE_TENANT_KEY", "PLATFORM_TEAM_KEY")


@pytest.fixture(scope="module")
def service() -> dict[str, Any]:
    content = yaml.safe_load((DOCKER / "compose.yaml").read_text())
    return dict(content["services"]["serve-app"])


def instructions() -> list[list[str]]:
    """The Dockerfile, an instruction an entry, without comments."""
    lines = (DOCKER / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    return [line.split(None, 1) for line in lines if line.strip() and not line.startswith("#")]


def has_compose() -> bool:
    client = shutil.which("docker")
    if client is None:
        return False
    asked = subprocess.run([client, "compose", "version"], capture_output=True, check=False)
    return asked.returncode == 0


@pytest.mark.skipif(not has_compose(), reason="needs the docker client and its compose plugin")
def test_docker_compose_accepts_the_file() -> None:
    environment = {**os.environ, **dict.fromkeys(SECRETS, "made-up")}
    command = ["docker", "compose", "-f", str(DOCKER / "compose.yaml"), "config", "--quiet"]
    checked = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def test_a_gpu_is_reserved(service: dict[str, Any]) -> None:
    (device,) = service["deploy"]["resources"]["reservations"]["devices"]
    assert device["driver"] == "nvidia"
    assert device["capabilities"] == ["gpu"]


def test_models_are_kept_and_adapters_come_from_outside(service: dict[str, Any]) -> None:
    targets = [volume.split(":/")[1] for volume in service["volumes"]]
    assert {"models", "adapters:ro", "var/lib/serve-app"} <= set(targets)


def test_its_health_is_whether_it_can_answer(service: dict[str, Any]) -> None:
    assert "http://127.0.0.1:8000/ready" in " ".join(service["healthcheck"]["test"])


def test_it_comes_back_by_itself_and_reaps_orphans(service: dict[str, Any]) -> None:
    assert service["restart"] == "unless-stopped"
    assert service["init"] is True


def test_it_has_no_rights_it_does_not_need(service: dict[str, Any]) -> None:
    assert service["user"].split(":")[0] not in ("0", "root")
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]


@pytest.mark.parametrize("name", SECRETS)
def test_secrets_come_from_the_environment_and_are_required(
    name: str, service: dict[str, Any]
) -> None:
    assert service["environment"][name].startswith(f"${{{name}:?")


def test_every_key_that_the_production_config_names_is_passed_on(service: dict[str, Any]) -> None:
    config = (ROOT / "configs" / "prod.yaml").read_text()
    named = {word.split("}")[0] for word in config.split("${")[1:]}
    assert named
    assert named <= set(service["environment"])


def test_secrets_never_reach_an_image() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    assert ignored[-1] == "**/.env"


def test_the_image_runs_as_a_user_of_its_own() -> None:
    users = [words[1] for words in instructions() if words[0] == "USER"]
    assert users == ["serve"]


def test_the_image_copies_only_what_is_there_and_sent_to_docker() -> None:
    sent = {line[1:].strip("/") for line in (ROOT / ".dockerignore").read_text().splitlines()}
    for name, arguments in instructions():
        if name == "COPY":
            *sources, _ = shlex.split(arguments)
            assert all((ROOT / source).exists() for source in sources), arguments
            assert set(sources) <= sent, arguments
