"""Every kind of broken adapter, made on disk from a good one in PEFT's format (float32 weights).

``BROKEN[kind](good, into)`` writes the broken adapter to the new directory ``into`` and returns
the code it must be refused with.
"""

import json
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

CONFIG_FILE, WEIGHTS_FILE = "adapter_config.json", "adapter_model.safetensors"
Tensors = dict[str, Any]
Break = Callable[[Path, Path], str]

INVALID, FEATURE = "adapter_config_invalid", "adapter_feature_unsupported"
WEIGHTS, TENSOR = "adapter_weights_invalid", "adapter_tensor_unexpected"
RANK, SHAPE = "adapter_rank_mismatch", "adapter_shape_mismatch"
MISSING, UNKNOWN = "adapter_tensors_missing", "adapter_module_unknown"
FILE_MISSING, NOT_REGULAR = "adapter_file_missing", "adapter_file_not_regular"
NOT_FINITE = "adapter_weights_not_finite"


def _config(code: str, **changes: Any) -> Break:
    """Other keys in the config; None as a value takes the key out."""

    def make(good: Path, into: Path) -> str:
        config = json.loads((good / CONFIG_FILE).read_text()) | changes
        kept = {k: v for k, v in config.items() if k not in changes or v is not None}
        return _write(good, into, code, config=json.dumps(kept).encode())

    return make


def _raw_config(code: str, raw: bytes) -> Break:
    return lambda good, into: _write(good, into, code, config=raw)


def _tensors(code: str, change: Callable[[Tensors], Tensors]) -> Break:
    def make(good: Path, into: Path) -> str:
        _write(good, into, code)
        tensors = change(load_file(good / WEIGHTS_FILE))
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, into / WEIGHTS_FILE)
        return code

    return make


def _header(code: str, change: Callable[[dict[str, Any]], object]) -> Break:
    """A header of other JSON before the same bytes."""

    def make(good: Path, into: Path) -> str:
        raw = (good / WEIGHTS_FILE).read_bytes()
        length = int.from_bytes(raw[:8], "little")
        header = json.loads(raw[8 : 8 + length])
        changed = change(header)
        text = changed if isinstance(changed, bytes) else json.dumps(changed or header).encode()
        whole = len(text).to_bytes(8, "little") + text + raw[8 + length :]
        return _write(good, into, code, weights=whole)

    return make


def _bytes(code: str, change: Callable[[bytes], bytes]) -> Break:
    return lambda good, into: _write(
        good, into, code, weights=change((good / WEIGHTS_FILE).read_bytes())
    )


def _file(code: str, name: str, replace: Callable[[Path], object]) -> Break:
    """Something else in place of a file."""

    def make(good: Path, into: Path) -> str:
        _write(good, into, code)
        path = into / name
        path.rename(into / f"real_{name}")
        replace(path)
        return code

    return make


def _write(
    good: Path, into: Path, code: str, *, config: bytes | None = None, weights: bytes | None = None
) -> str:
    into.mkdir(parents=True)
    for name, raw in ((CONFIG_FILE, config), (WEIGHTS_FILE, weights)):
        if raw is None:
            shutil.copyfile(good / name, into / name)
        else:
            (into / name).write_bytes(raw)
    return code


def _end(tensors: Tensors, matrix: str) -> str:
    """The last tensor of A or B."""
    return max(name for name in tensors if f".lora_{matrix}." in name)


def _one(matrix: str, change: Callable[[Any], Any]) -> Callable[[Tensors], Tensors]:
    def changed(tensors: Tensors) -> Tensors:
        name = _end(tensors, matrix)
        return tensors | {name: change(tensors[name])}

    return changed


def _every(change: Callable[[str, Any], Any]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: change(name, tensor) for name, tensor in tensors.items()}


def _renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


def _without(gone: Callable[[str], bool]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: t for name, t in tensors.items() if not gone(name)}


def _without_last_kind(tensors: Tensors) -> Tensors:
    """Without one kind of module, in every layer."""
    kind = _end(tensors, "A").split(".")[-3]
    return _without(lambda name: f".{kind}." in name)(tensors)


def _with_layer(number: int) -> Callable[[Tensors], Tensors]:
    def changed(tensors: Tensors) -> Tensors:
        extra = {n.replace(".layers.0.", f".layers.{number}."): t for n, t in tensors.items()}
        return tensors | extra

    return changed


def _with(name: str, rows: int, columns: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: np.zeros((rows, columns), np.float32)}


def _poisoned(value: float) -> Callable[[Tensors], Tensors]:
    def change(tensor: Any) -> Any:
        spoiled = tensor.copy()
        spoiled[-1, -1] = value
        return spoiled

    return _one("B", change)


def _wide(name: str, tensor: Any) -> Any:
    """As if trained on a base that is twice as wide."""
    return np.concatenate([tensor, tensor], axis=1 if ".lora_A." in name else 0)


def _half_rank(name: str, tensor: Any) -> Any:
    rank_axis = 0 if ".lora_A." in name else 1
    return np.split(tensor, 2, axis=rank_axis)[0]


def _shift(by: int) -> Callable[[dict[str, Any]], None]:
    """Move the last tensor's bytes, so that it overlaps another or leaves a gap."""

    def change(header: dict[str, Any]) -> None:
        named = {name: t for name, t in header.items() if name != "__metadata__"}
        last = max(named.values(), key=lambda tensor: tensor["data_offsets"][1])
        last["data_offsets"] = [offset + by for offset in last["data_offsets"]]

    return change


def _empty_tensors(_header: dict[str, Any]) -> bytes:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    many = {f"{number:x}": empty for number in range(10_001)}
    return json.dumps(many, separators=(",", ":")).encode()


def _twice(header: dict[str, Any]) -> bytes:
    name = max(header)
    text = json.dumps(header)
    return f"{text[:-1]}, {json.dumps(name)}: {json.dumps(header[name])}}}".encode()


def _link(path: Path) -> None:
    path.symlink_to(path.with_name(f"real_{path.name}"))


def _pickled(path: Path) -> None:
    path.with_name("adapter_model.bin").write_bytes(pickle.dumps({"weights": [0.0]}))


def _nothing(path: Path) -> None:
    assert not path.exists()


_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"

BROKEN: dict[str, Break] = {
    # the config
    "a config that is not JSON": _raw_config(INVALID, b"r = 8"),
    "a config that is not UTF-8": _raw_config(INVALID, '{"r": 8}'.encode("utf-16")),
    "a config that is a list": _raw_config(INVALID, b"[]"),
    "a config nested without end": _raw_config(INVALID, b'{"a":' * 100_000),
    "a huge config": _raw_config("adapter_file_too_large", b" " * ((1 << 20) + 1)),
    "no rank": _config(INVALID, r=None),
    "a rank of zero": _config(INVALID, r=0),
    "a rank in words": _config(INVALID, r="8"),
    "a rank that is a truth": _config(INVALID, r=True),
    "a rank above the largest": _config("adapter_rank_too_large", r=1024),
    "a pattern's rank above the largest": _config(
        "adapter_rank_too_large", rank_pattern={"q_proj": 1024}
    ),
    "no lora_alpha": _config(INVALID, lora_alpha=None),
    "a lora_alpha of nothing": _config(INVALID, lora_alpha=0),
    "a lora_alpha that is no number": _config(INVALID, lora_alpha=float("nan")),
    "a lora_alpha without end": _config(INVALID, lora_alpha=float("inf")),
    "no target_modules": _config(INVALID, target_modules=None),
    "a pattern that takes for ever": _config(INVALID, rank_pattern={"(a+)+$": 8}),
    "thousands of patterns": _config(INVALID, alpha_pattern={f"m{n}": 8 for n in range(5000)}),
    "another method": _config("adapter_type_unsupported", peft_type="IA3"),
    "no method": _config("adapter_type_unsupported", peft_type=None),
    "DoRA": _config("adapter_dora_unsupported", use_dora=True),
    "a bias": _config("adapter_bias_unsupported", bias="all"),
    "a LoRA bias": _config("adapter_bias_unsupported", lora_bias=True),
    "saved modules": _config("adapter_modules_to_save_unsupported", modules_to_save=["lm_head"]),
    "a classifier": _config("adapter_task_unsupported", task_type="SEQ_CLS"),
    "PiSSA, which changes the base": _config(FEATURE, init_lora_weights="pissa"),
    "LoftQ, which changes the base": _config(FEATURE, init_lora_weights="loftq"),
    "an activated LoRA": _config(FEATURE, alora_invocation_tokens=[1, 2]),
    "trained tokens": _config(FEATURE, trainable_token_indices=[3]),
    "LoRA on parameters": _config(FEATURE, target_parameters=["experts.gate_up_proj"]),
    "replicated layers": _config(FEATURE, layer_replication=[[0, 1], [0, 1]]),
    "KaSA": _config(FEATURE, kasa_config={"beta": 1e-4}),
    # the files
    "no config": _file(FILE_MISSING, CONFIG_FILE, _nothing),
    "no weights": _file(FILE_MISSING, WEIGHTS_FILE, _nothing),
    "pickled weights": _file("adapter_pickle_unsupported", WEIGHTS_FILE, _pickled),
    "a config that is a link": _file(NOT_REGULAR, CONFIG_FILE, _link),
    "weights that are a link": _file(NOT_REGULAR, WEIGHTS_FILE, _link),
    "a config that is a pipe": _file(NOT_REGULAR, CONFIG_FILE, os.mkfifo),
    "weights that are a pipe": _file(NOT_REGULAR, WEIGHTS_FILE, os.mkfifo),
    "weights that are a directory": _file(NOT_REGULAR, WEIGHTS_FILE, Path.mkdir),
    # the weights' file
    "weights of nothing": _bytes(WEIGHTS, lambda _raw: b""),
    "weights cut short": _bytes(WEIGHTS, lambda raw: raw[:-1]),
    "weights with something behind": _bytes(WEIGHTS, lambda raw: raw + b"\0"),
    "a header that claims a terabyte": _bytes(
        WEIGHTS, lambda raw: (1 << 40).to_bytes(8, "little") + raw[8:]
    ),
    "a header above the cap": _header(WEIGHTS, lambda _header: b" " * ((1 << 20) + 1)),
    "a header that is not JSON": _header(WEIGHTS, lambda _header: b"tensors"),
    "a header that is a list": _header(WEIGHTS, lambda _header: b"[1]"),
    "a header nested without end": _header(WEIGHTS, lambda _header: b'{"a":' * 100_000),
    "a tensor twice": _header(WEIGHTS, _twice),
    "tensors that overlap": _header(WEIGHTS, _shift(-4)),
    "tensors with a gap between": _header(WEIGHTS, _shift(4)),
    "no tensors": _tensors(WEIGHTS, lambda _tensors: {}),
    "whole numbers": _tensors(
        "adapter_dtype_unsupported", _every(lambda _name, tensor: tensor.astype(np.int8))
    ),
    "too many tensors": _header("adapter_tensors_too_many", _empty_tensors),
    # the tensors
    "a whole embedding": _tensors(TENSOR, _with("model.embed_tokens.weight", 4, 4)),
    "a magnitude vector": _tensors(TENSOR, _with(f"{_LAYER}.lora_magnitude_vector", 1, 4)),
    "names of an adapter in memory": _tensors(
        TENSOR, _renamed("lora_A.weight", "lora_A.default.weight")
    ),
    "LoRA on the head": _tensors(
        "adapter_module_unsupported", _with("base_model.model.lm_head.lora_A.weight", 8, 32)
    ),
    "LoRA on the embedding": _tensors(
        "adapter_module_unsupported",
        _with("base_model.model.model.embed_tokens.lora_embedding_A", 8, 32),
    ),
    "names without PEFT's prefix": _tensors(UNKNOWN, _renamed("base_model.model.", "")),
    "names with another prefix": _tensors(
        UNKNOWN, _renamed("base_model.model.model.", "base_model.model.transformer.")
    ),
    "names with the prefix twice": _tensors(
        UNKNOWN, _renamed("base_model.model.", "base_model.model.base_model.model.")
    ),
    "modules of another architecture": _tensors(UNKNOWN, _renamed("_proj.", "_projection.")),
    "surplus layers": _tensors(UNKNOWN, _with_layer(999)),
    "a layer that is missing": _tensors(MISSING, _without(lambda name: ".layers.0." in name)),
    "a target that is missing": _tensors(MISSING, _without_last_kind),
    "A without B": _tensors(MISSING, lambda tensors: _without(_end(tensors, "B").__eq__)(tensors)),
    "B without A": _tensors(MISSING, lambda tensors: _without(_end(tensors, "A").__eq__)(tensors)),
    "an A too small": _tensors(SHAPE, _one("A", lambda a: a[:, : a.shape[1] // 2])),
    "an A too large": _tensors(SHAPE, _one("A", lambda a: np.concatenate([a, a], axis=1))),
    "a B too small": _tensors(SHAPE, _one("B", lambda b: b[: b.shape[0] // 2])),
    "a B too large": _tensors(SHAPE, _one("B", lambda b: np.concatenate([b, b]))),
    "another base": _tensors(SHAPE, _every(_wide)),
    "a rank the tensors do not have": _tensors(RANK, _every(_half_rank)),
    "one tensor of another rank": _tensors(RANK, _one("A", lambda a: a[:-1])),
    "a pattern's rank the tensors do not have": _config(RANK, rank_pattern={"down_proj": 1}),
    "matrices on their side": _tensors(RANK, _every(lambda _name, tensor: tensor.T)),
    "a tensor in three dimensions": _tensors(RANK, _one("A", lambda a: a[:, :, None])),
    "NaN in the weights": _tensors(NOT_FINITE, _poisoned(float("nan"))),
    "infinity in the weights": _tensors(NOT_FINITE, _poisoned(float("-inf"))),
}
