import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from serve_app.adapters.preflight import MAX_CONFIG_BYTES, MAX_HEADER_BYTES, check
from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE, digest_of
from serve_app.errors import AdapterRefused

LAYER = "base_model.model.model.layers.0.self_attn.q_proj"
MAX_RANK = 16


def _tensor(rows: int, columns: int, begin: int, bytes_each: int = 4) -> dict[str, Any]:
    dtype = {4: "F32", 2: "F16"}[bytes_each]
    end = begin + rows * columns * bytes_each
    return {"dtype": dtype, "shape": [rows, columns], "data_offsets": [begin, end]}


@dataclass
class Files:
    """An adapter of rank 8 on a layer from 4 to 12 wide, good unless a test spoils it."""

    config: dict[str, Any] = field(
        default_factory=lambda: {"peft_type": "LORA", "r": 8, "lora_alpha": 16, "bias": "none"}
    )
    tensors: dict[str, Any] = field(
        default_factory=lambda: {
            f"{LAYER}.lora_A.weight": _tensor(8, 4, 0),
            f"{LAYER}.lora_B.weight": _tensor(12, 8, 128),
        }
    )
    raw_config: bytes | None = None
    raw_header: bytes | None = None
    claimed_header_bytes: int | None = None
    data: bytes = bytes(512)

    def write(self, folder: Path) -> Path:
        config = self.raw_config or json.dumps(self.config).encode()
        header = self.raw_header or json.dumps(self.tensors).encode()
        claimed = len(header) if self.claimed_header_bytes is None else self.claimed_header_bytes
        (folder / CONFIG_FILE).write_bytes(config)
        (folder / WEIGHTS_FILE).write_bytes(claimed.to_bytes(8, "little") + header + self.data)
        return folder

    def a(self, **changes: Any) -> "Files":
        self.tensors[f"{LAYER}.lora_A.weight"].update(changes)
        return self


def _config(**changes: Any) -> Files:
    files = Files()
    files.config.update(changes)
    return files


def _b(**changes: Any) -> Files:
    files = Files()
    files.tensors[f"{LAYER}.lora_B.weight"].update(changes)
    return files


def _with_tensor(name: str) -> Files:
    files = Files(data=bytes(640))
    files.tensors[name] = _tensor(8, 4, 512)
    return files


_A = f"{LAYER}.lora_A.weight"
INVALID, TYPE, RANK = "adapter_config_invalid", "adapter_type_unsupported", "adapter_rank_too_large"
WEIGHTS, TENSOR = "adapter_weights_invalid", "adapter_tensor_unexpected"
SHAPE = "adapter_shape_mismatch"

REFUSALS: dict[str, tuple[Files, str]] = {
    "a config that is not JSON": (Files(raw_config=b"r = 8"), INVALID),
    "a config that is not text": (Files(raw_config=b"\xff\xfe\x00"), INVALID),
    "a config that is a list": (Files(raw_config=b"[]"), INVALID),
    "a config nested without end": (Files(raw_config=b"[" * 200_000), INVALID),
    "a huge config": (Files(raw_config=b" " * (MAX_CONFIG_BYTES + 1)), "adapter_file_too_large"),
    "no rank": (_config(r=None), INVALID),
    "a rank of zero": (_config(r=0), INVALID),
    "a rank in words": (_config(r="8"), INVALID),
    "a rank that is a truth": (_config(r=True), INVALID),
    "a rank above the largest": (_config(r=MAX_RANK + 1), RANK),
    "another method": (_config(peft_type="IA3"), TYPE),
    "no method": (_config(peft_type=None), TYPE),
    "DoRA": (_config(use_dora=True), "adapter_dora_unsupported"),
    "a bias": (_config(bias="all"), "adapter_bias_unsupported"),
    "saved modules": (_config(modules_to_save=["lm_head"]), "adapter_modules_to_save_unsupported"),
    "a rank the tensors do not have": (_config(r=16), SHAPE),
    "a header of no JSON": (Files(raw_header=b"not JSON"), WEIGHTS),
    "a header that is a list": (Files(raw_header=b"[1]"), WEIGHTS),
    "a header nested without end": (Files(raw_header=b'{"a":' + b"[" * 200_000), WEIGHTS),
    "a header longer than the file": (Files(claimed_header_bytes=1 << 40), WEIGHTS),
    "a header above the cap": (Files(raw_header=b" " * (MAX_HEADER_BYTES + 1)), WEIGHTS),
    "a tensor that is a number": (Files(tensors={_A: 1}), WEIGHTS),
    "no offsets": (Files().a(data_offsets=None), WEIGHTS),
    "offsets in words": (Files(tensors={_A: {"data_offsets": [0, "all"]}}), WEIGHTS),
    "missing bytes": (Files(data=bytes(511)), WEIGHTS),
    "surplus bytes": (Files(data=bytes(513)), WEIGHTS),
    "no tensors": (Files(tensors={}, data=b""), WEIGHTS),
    "a tensor smaller than its shape": (Files().a(data_offsets=[0, 127]), WEIGHTS),
    "tensors that overlap": (Files().a(data_offsets=[128, 256]), WEIGHTS),
    "integers": (Files().a(dtype="I64"), TENSOR),
    "a kind of number unheard of": (Files().a(dtype=["F32"]), TENSOR),
    "a whole embedding": (_with_tensor("model.embed_tokens.weight"), TENSOR),
    "an embedding's LoRA": (_with_tensor(f"{LAYER}.lora_embedding_A"), TENSOR),
    "a matrix A of another rank": (Files().a(shape=[4, 8]), SHAPE),
    "a matrix B of another rank": (_b(shape=[8, 12]), SHAPE),
    "a shape that is no matrix": (Files().a(shape=[8, 8, 1]), SHAPE),
    "a shape in words": (Files().a(shape="8x8"), SHAPE),
}


@pytest.mark.parametrize(("files", "code"), REFUSALS.values(), ids=REFUSALS)
def test_an_adapter_is_refused_for(tmp_path: Path, files: Files, code: str) -> None:
    with pytest.raises(AdapterRefused) as refused:
        check("acme", files.write(tmp_path), MAX_RANK)
    assert refused.value.code == code
    assert refused.value.status == 422
    assert "'acme'" in refused.value.message


def test_a_good_adapter_becomes_a_version(tmp_path: Path) -> None:
    version = check("acme", Files().write(tmp_path), MAX_RANK)
    assert version.adapter == "acme"
    assert version.digest == digest_of(tmp_path)
    assert version.path == str(tmp_path.resolve())
    assert version.rank == 8
    assert version.size_bytes == (tmp_path / WEIGHTS_FILE).stat().st_size


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_half_precision_is_served(tmp_path: Path, dtype: str) -> None:
    tensors = {
        f"{LAYER}.lora_A.weight": _tensor(8, 4, 0, 2) | {"dtype": dtype},
        f"{LAYER}.lora_B.weight": _tensor(12, 8, 64, 2) | {"dtype": dtype},
    }
    files = Files(tensors=tensors, data=bytes(256))
    assert check("acme", files.write(tmp_path), MAX_RANK).rank == 8


def test_metadata_in_the_header_is_no_tensor(tmp_path: Path) -> None:
    files = Files()
    files.tensors["__metadata__"] = {"format": "pt"}
    assert check("acme", files.write(tmp_path), MAX_RANK).rank == 8


def test_the_largest_rank_is_still_served(tmp_path: Path) -> None:
    assert check("acme", Files().write(tmp_path), max_rank=8).rank == 8


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_is_named(tmp_path: Path, name: str) -> None:
    Files().write(tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(AdapterRefused, match=name) as refused:
        check("acme", tmp_path, MAX_RANK)
    assert refused.value.code == "adapter_file_missing"


def test_a_directory_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefused) as refused:
        check("acme", tmp_path / "nowhere", MAX_RANK)
    assert refused.value.code == "adapter_file_missing"


def _link(path: Path) -> None:
    elsewhere = path.with_suffix(".elsewhere")
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def _pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize("name", [CONFIG_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("disguise", [_link, _pipe, _directory])
def test_what_is_not_a_regular_file_is_never_opened(
    tmp_path: Path, name: str, disguise: Callable[[Path], None]
) -> None:
    Files().write(tmp_path)
    disguise(tmp_path / name)
    with pytest.raises(AdapterRefused, match=name) as refused:
        check("acme", tmp_path, MAX_RANK)
    assert refused.value.code == "adapter_file_not_regular"


def test_a_file_shorter_than_its_own_prefix_is_refused(tmp_path: Path) -> None:
    Files().write(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"\0" * 7)
    with pytest.raises(AdapterRefused) as refused:
        check("acme", tmp_path, MAX_RANK)
    assert refused.value.code == WEIGHTS
