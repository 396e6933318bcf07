"""What works where the server's packages are not installed, and what the rest says there."""

import os
import subprocess
import sys
from collections.abc import Sequence

import pytest

from serve_app.cli.exits import AWAY, MACHINE_UNFIT, STOPPED
from serve_app.cli.missing import advice
from tests.harness import REPOSITORY, free_port

# The extras `server` and `report`, by the names that are imported, and what engines bring. Not
# httpcore: it is there wherever httpx is.
ABSENT = {
    *("aiosqlite", "alembic", "fastapi", "filelock", "fsspec", "huggingface_hub", "numpy"),
    *("orjson", "psutil", "pydantic_settings", "yaml", "ray", "safetensors", "sqlalchemy"),
    *("starlette", "torch", "transformers", "vllm"),
    *("jinja2", "matplotlib", "scipy"),
}

BLOCK = f"""
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Absent())
"""
MAIN = "from serve_app.cli.main import app; sys.argv = ['serve-app', *{words!r}]; app()"


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", BLOCK + code],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={"SERVE_APP_API_KEY": "sk-x", "COLUMNS": "200", "PATH": os.defpath} | environment,
    )


def serve_app(words: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return python(MAIN.format(words=list(words)))


def test_the_client_is_imported() -> None:
    done = python("import serve_app.client as c; c.LoraClient('http://h', 'k'); print('there')")
    assert (done.returncode, done.stdout) == (0, "there\n"), done.stderr


@pytest.mark.parametrize(
    "words", [[], ["lora"], ["chat"], ["experiment"], ["ab", "run"], ["tenant"], ["up"]]
)
def test_help_is_given(words: list[str]) -> None:
    done = serve_app([*words, "--help"])
    assert done.returncode == STOPPED, done.stderr
    assert "Usage" in done.stdout


@pytest.mark.parametrize(
    "command",
    [
        *("lora ls", "chat -m hi", "tenant ls", "usage", "fleet"),
        *("experiment results x", "feedback x --score 1"),
    ],
)
def test_commands_that_speak_with_an_application_work(command: str) -> None:
    done = serve_app([*command.split(), "--url", f"http://127.0.0.1:{free_port()}"])
    assert done.returncode == AWAY, done.stderr
    assert "nothing answers" in done.stderr


@pytest.mark.parametrize("command", ["up x.yaml", "check x.yaml", "down", "demo"])
def test_commands_that_serve_say_what_to_install(command: str) -> None:
    done = serve_app(command.split())
    assert done.returncode == MACHINE_UNFIT, done.stderr
    assert "serve-app[cpu] or serve-app[gpu]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_report_is_an_extra_of_its_own() -> None:
    assert advice("scipy").endswith("install serve-app[report]")
    words = ["ab", "run", "README.md", "--a", "x", "--b", "y", "--report", "/tmp/out.html"]
    done = serve_app(words)
    assert done.returncode == MACHINE_UNFIT, done.stderr
    assert "serve-app[report]" in done.stderr


def test_a_shell_completes_commands() -> None:
    asked = {
        "_SERVE_APP_COMPLETE": "complete_bash",
        "COMP_WORDS": "serve-app lo",
        "COMP_CWORD": "1",
    }
    done = python(MAIN.format(words=[]), **asked)
    assert done.stdout.split() == ["lora"], done.stderr
