"""The application with the stub engine in place of vLLM."""

from typing import Any

from ray import serve

from serve_app.app import assemble
from serve_app.configuration import parse
from serve_app.settings import AppSettings


def build(args: dict[str, Any]) -> serve.Application:
    return assemble(parse(AppSettings, args, "args"), "tests.cluster.stub_engine:StubEngine")
