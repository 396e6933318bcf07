"""Checks an adapter's files before any engine sees them. Reads headers, never weights.

vLLM refuses some bad adapters at load time, serves garbage from others and dies of a few; this
is the first form of the check that stands in front of it.
"""

import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE, Version, digest_of
from serve_app.errors import AdapterRefused

MAX_CONFIG_BYTES = 1 << 20
MAX_HEADER_BYTES = 1 << 20
FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}


def check(adapter: str, directory: Path, max_rank: int) -> Version:
    """The version found in ``directory``, if an engine with ``max_rank`` can serve it.

    Raises:
        AdapterRefused: with a code per reason.
    """
    root = directory.resolve()
    _must_be_regular(adapter, root / CONFIG_FILE, MAX_CONFIG_BYTES)
    size_bytes = _must_be_regular(adapter, root / WEIGHTS_FILE, None)
    config = _read_config(adapter, root / CONFIG_FILE)
    rank = _check_config(adapter, config, max_rank)
    _check_tensors(adapter, _read_header(adapter, root / WEIGHTS_FILE, size_bytes), rank)
    return Version(adapter, digest_of(root), str(root), rank, size_bytes)


def _must_be_regular(adapter: str, path: Path, max_bytes: int | None) -> int:
    try:
        info = os.lstat(path)
    except OSError:
        raise AdapterRefused(
            f"adapter {adapter!r}: {path.name} is missing; a PEFT directory holds {CONFIG_FILE} "
            f"and {WEIGHTS_FILE}",
            code="adapter_file_missing",
        ) from None
    if not stat.S_ISREG(info.st_mode):
        raise AdapterRefused(
            f"adapter {adapter!r}: {path.name} must be a regular file, not a link or a device",
            code="adapter_file_not_regular",
        )
    if max_bytes is not None and info.st_size > max_bytes:
        raise AdapterRefused(
            f"adapter {adapter!r}: {path.name} is larger than {max_bytes} bytes",
            code="adapter_file_too_large",
        )
    return info.st_size


def _read_config(adapter: str, path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_bytes())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise AdapterRefused(
            f"adapter {adapter!r}: {path.name} is not a JSON object", code="adapter_config_invalid"
        )
    return config


def _check_config(adapter: str, config: dict[str, Any], max_rank: int) -> int:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise AdapterRefused(
            f"adapter {adapter!r}: peft_type is {kind!r}; only 'LORA' is served",
            code="adapter_type_unsupported",
        )
    for key, allowed in (("use_dora", (None, False)), ("bias", (None, "none"))):
        if config.get(key) not in allowed:
            raise AdapterRefused(
                f"adapter {adapter!r}: {key}={config[key]!r} is not served; train without it",
                code=f"adapter_{key.removeprefix('use_')}_unsupported",
            )
    if config.get("modules_to_save"):
        raise AdapterRefused(
            f"adapter {adapter!r}: modules_to_save is not served; train without it",
            code="adapter_modules_to_save_unsupported",
        )
    rank = config.get("r")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 1:
        raise AdapterRefused(
            f"adapter {adapter!r}: r must be a positive integer, not {rank!r}",
            code="adapter_config_invalid",
        )
    if rank > max_rank:
        raise AdapterRefused(
            f"adapter {adapter!r}: rank {rank} is above this application's max_lora_rank "
            f"{max_rank}; raise engine.max_lora_rank or train a smaller rank",
            code="adapter_rank_too_large",
        )
    return rank


def _read_header(adapter: str, path: Path, size_bytes: int) -> dict[str, Any]:
    """A safetensors header: 8 bytes little-endian length, then JSON (the format's own layout)."""

    def refuse(reason: str) -> AdapterRefused:
        return AdapterRefused(
            f"adapter {adapter!r}: {path.name} is not a safetensors file: {reason}",
            code="adapter_weights_invalid",
        )

    with path.open("rb") as file:
        prefix = file.read(8)
        if len(prefix) < 8:
            raise refuse("it is shorter than its header")
        (length,) = struct.unpack("<Q", prefix)
        if length > MAX_HEADER_BYTES or 8 + length > size_bytes:
            raise refuse(f"its header claims {length} bytes")
        raw = file.read(length)
    try:
        header = json.loads(raw)
        tensors = {key: value for key, value in header.items() if key != "__metadata__"}
        spans = sorted(tuple(map(int, tensor["data_offsets"])) for tensor in tensors.values())
        edges = [0, *(end for _begin, end in spans)]
        contiguous = [begin for begin, _end in spans] == edges[:-1]
    except (ValueError, AttributeError, KeyError, TypeError, RecursionError):
        raise refuse("its header cannot be read") from None
    if not contiguous:
        raise refuse("its tensors overlap or leave gaps")
    if 8 + length + edges[-1] != size_bytes:
        raise refuse(f"{8 + length + edges[-1]} bytes expected, {size_bytes} found")
    return tensors


def _check_tensors(adapter: str, tensors: dict[str, Any], rank: int) -> None:
    for name, tensor in tensors.items():
        matrix = "A" if ".lora_A." in name else "B" if ".lora_B." in name else None
        dtype, shape = tensor.get("dtype"), tensor.get("shape")
        if matrix is None or not isinstance(dtype, str) or dtype not in FLOAT_BYTES:
            raise AdapterRefused(
                f"adapter {adapter!r}: tensor {name!r} is not a LoRA matrix of floats",
                code="adapter_tensor_unexpected",
            )
        own_rank = shape[0 if matrix == "A" else 1] if _is_matrix(shape) else None
        if own_rank != rank:
            raise AdapterRefused(
                f"adapter {adapter!r}: tensor {name!r} has shape {shape}, which does not fit "
                f"rank {rank}",
                code="adapter_shape_mismatch",
            )
        begin, end = tensor["data_offsets"]
        if end - begin != shape[0] * shape[1] * FLOAT_BYTES[dtype]:
            raise AdapterRefused(
                f"adapter {adapter!r}: tensor {name!r} has {end - begin} bytes, which does not "
                f"fit its shape {shape}",
                code="adapter_weights_invalid",
            )
    if not tensors:
        raise AdapterRefused(
            f"adapter {adapter!r}: there are no weights in it", code="adapter_weights_invalid"
        )


def _is_matrix(shape: object) -> bool:
    return (
        isinstance(shape, list)
        and len(shape) == 2
        and all(isinstance(side, int) and side > 0 for side in shape)
    )
