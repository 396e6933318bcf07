"""The base model's layers that adapters may change: their names, as PEFT has them, and widths."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from serve_app.errors import ConfigError

OUTLINE_MODULE = "serve_app.engine.outline"
"""Run in a process of its own: it holds torch, which this one must not."""

_MAX_HEADER_BYTES = 100_000_000  # the format's own limit
_FLOATS = {"F64", "F32", "F16", "BF16"}
_NOT_LINEAR = {"lm_head", "wte", "wpe", "score", "classifier"}
_NOT_TEXT = ("vision", "visual", "audio", "multi_modal")
_TRANSPOSED = {"gpt2", "openai-gpt"}  # their weights are [in, out]


@dataclass(frozen=True, slots=True)
class Linear:
    """A linear layer: a row of ``inputs`` numbers becomes one of ``outputs``."""

    inputs: int
    outputs: int


@dataclass(frozen=True, slots=True)
class Base:
    """Linear layers of the base model by name, for example ``model.layers.0.self_attn.q_proj``.

    Embeddings and the head are left out: what vLLM does with an adapter on them differs from
    model to model.
    """

    modules: Mapping[str, Linear]


def read_base(
    model: str,
    *,
    revision: str | None = None,
    trust_remote_code: bool = False,
    timeout_s: float = 300,
) -> Base:
    """The layers of ``model``, a directory or a hub name. Blocks, for up to ``timeout_s``.

    They are read from the headers of its weights; if those are not at hand, or are quantized or
    laid out otherwise, transformers builds the model from its config, without weights, in a
    process of its own.

    Raises:
        ConfigError: neither works.
    """
    modules = _from_weights(Path(model)) if Path(model).is_dir() else None
    if modules is None:
        modules = _from_outline(model, revision, trust_remote_code, timeout_s)
    if not modules:
        raise ConfigError(f"engine.model: {model} has no layers that adapters could change")
    return Base(modules)


def is_adaptable(name: str) -> bool:
    """Whether a two-dimensional weight of this module may be a linear layer for text."""
    parts = name.split(".")
    return not any(
        part in _NOT_LINEAR or "embed" in part or part.startswith(_NOT_TEXT) for part in parts
    )


def _from_weights(directory: Path) -> dict[str, Linear] | None:
    """Layers by the headers of the weights, None if those do not tell."""
    try:
        config = json.loads((directory / "config.json").read_bytes())
        if not _is_plain(config):
            return None
        headers = [_header(path) for path in _weight_files(directory)]
    except (OSError, ValueError, AttributeError):
        return None
    modules: dict[str, Linear] = {}
    for name, tensor in (item for header in headers for item in header.items()):
        if name == "__metadata__":
            continue
        if tensor["dtype"] not in _FLOATS:
            return None
        module, weight, rest = name.rpartition(".weight")
        if weight and not rest and len(tensor["shape"]) == 2 and is_adaptable(module):
            outputs, inputs = tensor["shape"]
            modules[module] = Linear(inputs, outputs)
    return modules or None


def _is_plain(config: Any) -> bool:
    """Whether tensors of the checkpoint bear the names and shapes of the model's own modules."""
    architectures = config.get("architectures") or [""]
    return (
        str(architectures[0]).endswith("ForCausalLM")
        and config.get("model_type") not in _TRANSPOSED
        and not config.get("quantization_config")
    )


def _weight_files(directory: Path) -> list[Path]:
    index = directory / "model.safetensors.index.json"
    if not index.exists():
        return [directory / "model.safetensors"]
    shards = set(json.loads(index.read_bytes())["weight_map"].values())
    return [directory / Path(shard).name for shard in sorted(shards)]


def _header(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if length > _MAX_HEADER_BYTES:
            raise ValueError(f"{path} is not a safetensors file")
        header: dict[str, Any] = json.loads(file.read(length))
    return header


def _from_outline(
    model: str, revision: str | None, trust_remote_code: bool, timeout_s: float
) -> dict[str, Linear]:
    command = [sys.executable, "-m", OUTLINE_MODULE, model]
    command += ["--revision", revision] if revision else []
    command += ["--trust-remote-code"] if trust_remote_code else []
    try:
        ran = subprocess.run(  # noqa: S603 - our own module, no shell
            command,
            capture_output=True,
            check=True,
            timeout=timeout_s,
            text=True,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        layers: dict[str, list[int]] = json.loads(ran.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        reason = (error.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise _unreadable(model, reason) from None
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as error:
        raise _unreadable(model, str(error)) from None
    return {name: Linear(*widths) for name, widths in layers.items() if is_adaptable(name)}


def _unreadable(model: str, reason: str) -> ConfigError:
    return ConfigError(
        f"engine.model: cannot find out which layers {model} has: neither its weights nor its "
        f"config.json tell: {reason}"
    )
