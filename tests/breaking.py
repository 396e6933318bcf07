"""How to break an adapter on disk: pieces from which ``broken_adapters.py`` is put together."""

import json
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


def config_with(code: str, **changes: Any) -> Break:
    """Other keys in the config; None as a value takes the key out."""

    def make(good: Path, into: Path) -> str:
        config = json.loads((good / CONFIG_FILE).read_text()) | changes
        kept = {k: v for k, v in config.items() if k not in changes or v is not None}
        return _write(good, into, code, config=json.dumps(kept).encode())

    return make


def raw_config(code: str, raw: bytes) -> Break:
    return lambda good, into: _write(good, into, code, config=raw)


def tensors(code: str, change: Callable[[Tensors], Tensors]) -> Break:
    def make(good: Path, into: Path) -> str:
        _write(good, into, code)
        tensors = change(load_file(good / WEIGHTS_FILE))
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, into / WEIGHTS_FILE)
        return code

    return make


def header(code: str, change: Callable[[dict[str, Any]], object]) -> Break:
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


def raw_weights(code: str, change: Callable[[bytes], bytes]) -> Break:
    return lambda good, into: _write(
        good, into, code, weights=change((good / WEIGHTS_FILE).read_bytes())
    )


def file(code: str, name: str, replace: Callable[[Path], object]) -> Break:
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


def last(tensors: Tensors, matrix: str) -> str:
    """The last tensor of A or B."""
    return max(name for name in tensors if f".lora_{matrix}." in name)


def one(matrix: str, change: Callable[[Any], Any]) -> Callable[[Tensors], Tensors]:
    def changed(tensors: Tensors) -> Tensors:
        name = last(tensors, matrix)
        return tensors | {name: change(tensors[name])}

    return changed


def every(change: Callable[[str, Any], Any]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: change(name, tensor) for name, tensor in tensors.items()}


def renamed(old: str, new: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name.replace(old, new): tensor for name, tensor in tensors.items()}


def without(gone: Callable[[str], bool]) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: t for name, t in tensors.items() if not gone(name)}


def without_last_kind(tensors: Tensors) -> Tensors:
    """Without one kind of module, in every layer."""
    kind = last(tensors, "A").split(".")[-3]
    return without(lambda name: f".{kind}." in name)(tensors)


def with_layer(number: int) -> Callable[[Tensors], Tensors]:
    def changed(tensors: Tensors) -> Tensors:
        extra = {n.replace(".layers.0.", f".layers.{number}."): t for n, t in tensors.items()}
        return tensors | extra

    return changed


def with_tensor(name: str, rows: int, columns: int) -> Callable[[Tensors], Tensors]:
    return lambda tensors: tensors | {name: np.zeros((rows, columns), np.float32)}


def poisoned(value: float) -> Callable[[Tensors], Tensors]:
    def change(tensor: Any) -> Any:
        spoiled = tensor.copy()
        spoiled[-1, -1] = value
        return spoiled

    return one("B", change)


def wide(name: str, tensor: Any) -> Any:
    """As if trained on a base that is twice as wide."""
    return np.concatenate([tensor, tensor], axis=1 if ".lora_A." in name else 0)


def half_rank(name: str, tensor: Any) -> Any:
    rank_axis = 0 if ".lora_A." in name else 1
    return np.split(tensor, 2, axis=rank_axis)[0]


def shift(by: int) -> Callable[[dict[str, Any]], None]:
    """Move the last tensor's bytes, so that it overlaps another or leaves a gap."""

    def change(header: dict[str, Any]) -> None:
        named = {name: t for name, t in header.items() if name != "__metadata__"}
        last = max(named.values(), key=lambda tensor: tensor["data_offsets"][1])
        last["data_offsets"] = [offset + by for offset in last["data_offsets"]]

    return change


def empty_tensors(_header: dict[str, Any]) -> bytes:
    empty = {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}
    many = {f"{number:x}": empty for number in range(10_001)}
    return json.dumps(many, separators=(",", ":")).encode()


def twice(header: dict[str, Any]) -> bytes:
    name = max(header)
    text = json.dumps(header)
    return f"{text[:-1]}, {json.dumps(name)}: {json.dumps(header[name])}}}".encode()


def link(path: Path) -> None:
    path.symlink_to(path.with_name(f"real_{path.name}"))


def pickled(path: Path) -> None:
    path.with_name("adapter_model.bin").write_bytes(pickle.dumps({"weights": [0.0]}))


def nothing(path: Path) -> None:
    assert not path.exists()
