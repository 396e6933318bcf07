"""Reads a Ray Serve config file and checks what of it is ours. Errors name keys, never values."""

from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from serve_app.directory import Directory
from serve_app.errors import ConfigError
from serve_app.settings import AppSettings

Model = TypeVar("Model", bound=BaseModel)


def parse(model: type[Model], value: Any, where: str) -> Model:
    """Validate ``value``, found under the key path ``where``.

    Raises:
        ConfigError: naming every offending key by its path, and what is allowed there.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [
            f"  {'.'.join([where, *map(str, e['loc'])])}: {_allowed(model, e)}"
            for e in error.errors(include_url=False)
        ]
        raise ConfigError("the configuration is refused:\n" + "\n".join(problems)) from None


def _allowed(model: type[BaseModel], error: Any) -> str:
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    for part in error["loc"][:-1]:
        if isinstance(part, str):
            annotation = model.model_fields[part].annotation
            inner = getattr(annotation, "__args__", (annotation,))[0]
            model = inner if isinstance(inner, type) and issubclass(inner, BaseModel) else model
    return f"unknown key; known here are {', '.join(model.model_fields)}"


def load(path: Path) -> tuple[AppSettings, Directory]:
    """Read and check the application in a Serve config file.

    Raises:
        ConfigError: the file cannot be read, is not a Serve config of this application, or holds
            keys or values that are not allowed.
    """
    config = read_yaml(path)
    applications = config.get("applications")
    application = applications[0] if isinstance(applications, list) and applications else None
    if not isinstance(application, dict):
        raise ConfigError(f"{path}: no `applications`; this must be a Ray Serve config file")
    settings = parse(AppSettings, application.get("args") or {}, "applications.0.args")
    deployments = application.get("deployments")
    for index, deployment in enumerate(deployments if isinstance(deployments, list) else ()):
        if isinstance(deployment, dict) and deployment.get("name") == "control":
            where = f"applications.0.deployments.{index}.user_config"
            return settings, parse(Directory, deployment.get("user_config") or {}, where)
    raise ConfigError(f"{path}: deployments: no `control` with a user_config of tenants")


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping. Errors name the place and never quote the file.

    Raises:
        ConfigError: it cannot be read, or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text())
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except (OSError, UnicodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {type(error).__name__}") from None
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "not valid"
        raise ConfigError(f"{path}{place}: not YAML: {problem}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: no `applications`; this must be a Ray Serve config file")
    return content
