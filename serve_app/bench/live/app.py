"""The application with the benchmark's router and engine in place of production's."""

from typing import Any

from ray import serve

from serve_app.app import assemble
from serve_app.bench.live.router import LiveRouter
from serve_app.configuration import parse
from serve_app.settings import AppSettings

ENGINE = "serve_app.bench.live.engine:LiveEngine"


def build(args: dict[str, Any]) -> serve.Application:
    """What ``serve run`` starts for the benchmark."""
    return assemble(parse(AppSettings, args, "args"), ENGINE, LiveRouter)
