"""A machine as a JSON file: ``serve-app calibrate`` writes it, ``serve-app simulate`` reads it."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, JsonValue, ValidationError, model_validator

from serve_app.errors import ConfigError
from serve_app.simulator.machine import Machine

_MAY_BE_ZERO = frozenset({"decode_s", "prefill_s", "adapter_s", "stage_s", "disk_s", "swap_s"})


class _File(BaseModel):
    """``machine`` is what counts; ``notes`` say where it comes from, to whoever reads the file."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    machine: Machine
    notes: dict[str, JsonValue] = {}

    @model_validator(mode="after")
    def _can_be(self) -> Self:
        for field in fields(Machine):
            value = getattr(self.machine, field.name)
            if not isinstance(value, int | float):
                continue
            if value < 0 or (value == 0 and field.name not in _MAY_BE_ZERO):
                raise ValueError(f"{field.name} must be above 0, not {value:g}")
        if self.machine.max_cpu_loras < self.machine.max_loras:
            raise ValueError("max_cpu_loras must be at least max_loras")
        return self


def read(path: Path) -> Machine:
    """The machine in ``path``; what the file leaves out has ``Machine``'s default.

    Raises:
        ConfigError: there is no such file, or it does not describe a machine; says what is wrong.
    """
    try:
        return _File.model_validate_json(path.read_bytes()).machine
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except ValidationError as error:
        raise ConfigError(f"{path} is no machine: {_said(error)}") from None


def write(path: Path, machine: Machine, notes: Mapping[str, JsonValue]) -> None:
    """Write ``machine`` so that ``read`` gives it back; replaces what is there.

    Args:
        notes: where its numbers come from: the day, the model, the error against reality.

    Raises:
        OSError: the file cannot be written.
    """
    file = _File(machine=machine, notes=dict(notes))
    path.write_text(file.model_dump_json(indent=2) + "\n")


def _said(error: ValidationError) -> str:
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}" if one["loc"] else one["msg"]
        for one in error.errors(include_url=False)
    )
