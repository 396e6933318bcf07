from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from serve_app.adapters.artifacts import Artifacts
from serve_app.adapters.finite import is_finite
from serve_app.adapters.preflight import check
from serve_app.adapters.sources import SourceRules
from serve_app.adapters.staging import Stager
from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE, digest_of
from serve_app.errors import AdapterRefused
from tests.broken_adapters import BROKEN, Break
from tests.small_models import Shape, write_adapter

SHAPE = Shape()
MAX_RANK = 16


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_adapter(tmp_path_factory.mktemp("adapters") / "good")


@pytest.mark.timeout(30)  # a pipe, once opened, would be waited for
@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN)
def test_an_adapter_is_refused_for(good: Path, tmp_path: Path, break_it: Break) -> None:
    code = break_it(good, tmp_path / "broken")
    with pytest.raises(AdapterRefused) as refused:
        check("acme", tmp_path / "broken", SHAPE.base, MAX_RANK)
    assert refused.value.code == code
    assert refused.value.status == 422
    assert refused.value.headers == {"x-should-retry": "false"}
    assert "'acme'" in refused.value.message
    assert str(tmp_path) not in refused.value.message


@pytest.mark.timeout(30)
@pytest.mark.parametrize("break_it", BROKEN.values(), ids=BROKEN)
async def test_an_adapter_is_refused_for_the_same_reason_when_it_is_staged_with(
    good: Path, tmp_path: Path, break_it: Break
) -> None:
    code = break_it(good, tmp_path / "broken")
    artifacts = Artifacts(tmp_path / "kept")
    stager = Stager(artifacts, SHAPE.base, SourceRules(roots=(tmp_path,)), MAX_RANK)
    with pytest.raises(AdapterRefused) as refused:
        await stager.stage("acme", str(tmp_path / "broken"))
    stager.close()
    assert refused.value.code == code
    assert artifacts.digests() == frozenset()
    assert list((tmp_path / "kept" / ".scratch").iterdir()) == []


@pytest.mark.parametrize(
    "trained",
    [
        {},
        {"dtype": "float16"},
        {"dtype": "float64"},
        {"rank": MAX_RANK},
        {"rank": 1},
        {"targets": ("q_proj", "v_proj")},
        {"use_rslora": True},
        {"lora_alpha": 0.5},
        {"task_type": None},
        {"init_lora_weights": "gaussian"},
        {"init_lora_weights": False},
        {"rank_pattern": None, "alpha_pattern": None},
        {"alpha_pattern": {"q_proj": 4, "layers.0.mlp.up_proj": 2.5}},
        {"target_modules": "all-linear"},
        {"targets": ("q_proj",), "target_modules": ["q_proj", "never_seen"]},
        {"targets": ("q_proj",), "target_modules": ["q_proj", "o_proj"], "exclude_modules": "o.*"},
        {"loftq_config": {}, "megatron_core": "megatron.core", "key_of_2031": [1]},
    ],
    ids=str,
)
def test_what_an_engine_serves_as_it_was_trained_passes(
    tmp_path: Path, trained: dict[str, Any]
) -> None:
    directory = write_adapter(tmp_path / "good", **trained)
    checked = check("acme", directory, SHAPE.base, MAX_RANK)
    assert checked.rank == trained.get("rank", 8)
    assert checked.digest == digest_of(directory)
    assert checked.size_bytes == sum(file.stat().st_size for file in directory.iterdir())


def _cut(directory: Path, module: str, rank: int) -> None:
    """Give the matrices of one kind of module a smaller rank."""
    tensors: dict[str, Any] = load_file(directory / WEIGHTS_FILE)
    for name in tensors:
        if f".{module}." in name:
            cut = tensors[name][:rank] if ".lora_A." in name else tensors[name][:, :rank]
            tensors[name] = np.ascontiguousarray(cut)
    save_file(tensors, directory / WEIGHTS_FILE)


def test_modules_may_have_ranks_of_their_own_by_a_pattern(tmp_path: Path) -> None:
    directory = write_adapter(tmp_path / "good", rank_pattern={"mlp.down_proj": 2, "q_proj": 8})
    _cut(directory, "down_proj", 2)
    assert check("acme", directory, SHAPE.base, MAX_RANK).rank == 8


def test_the_first_pattern_that_ends_a_name_counts(tmp_path: Path) -> None:
    patterns = {"down_proj": 2, "mlp.down_proj": 4}
    _cut(directory := write_adapter(tmp_path / "good", rank_pattern=patterns), "down_proj", 2)
    assert check("acme", directory, SHAPE.base, MAX_RANK).rank == 8


@pytest.mark.parametrize(("layers", "served"), [([1], True), (1, True), ([0, 1], False)])
def test_layers_that_were_not_trained_are_no_gap_if_the_config_says_so(
    tmp_path: Path, layers: list[int] | int, served: bool
) -> None:
    directory = write_adapter(tmp_path / "good", layers_to_transform=layers)
    tensors = load_file(directory / WEIGHTS_FILE)
    kept = {name: tensor for name, tensor in tensors.items() if ".layers.1." in name}
    save_file(kept, directory / WEIGHTS_FILE)
    if served:
        assert check("acme", directory, SHAPE.base, MAX_RANK).rank == 8
        return
    with pytest.raises(AdapterRefused, match=r"layers\.0.*target_modules"):
        check("acme", directory, SHAPE.base, MAX_RANK)


def test_hard_links_and_files_beside_the_two_do_not_matter(tmp_path: Path) -> None:
    directory = write_adapter(tmp_path / "good")
    (tmp_path / "link").hardlink_to(directory / WEIGHTS_FILE)
    (directory / "README.md").write_text("trained on a rainy day")
    assert check("acme", directory, SHAPE.base, MAX_RANK).digest == digest_of(directory)


def test_a_directory_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AdapterRefused, match=CONFIG_FILE) as refused:
        check("acme", tmp_path / "nowhere", SHAPE.base, MAX_RANK)
    assert refused.value.code == "adapter_file_missing"


def test_a_long_name_out_of_a_file_is_not_repeated_in_full(tmp_path: Path) -> None:
    directory = write_adapter(tmp_path / "good")
    save_file({"\x1b[31m" + "x" * 9000: np.zeros(1)}, directory / WEIGHTS_FILE)
    with pytest.raises(AdapterRefused) as refused:
        check("acme", directory, SHAPE.base, MAX_RANK)
    assert len(refused.value.message) < 500
    assert refused.value.message.isprintable()


BITS = {"F16": ("<u2", 0x7C00), "BF16": ("<u2", 0x7F80), "F32": ("<u4", 0x7F800000)}


@pytest.mark.parametrize("dtype", BITS)
def test_numbers_are_told_from_nan_and_infinity_by_their_bits(dtype: str) -> None:
    unsigned, infinity = BITS[dtype]
    sign = 1 << (np.dtype(unsigned).itemsize * 8 - 1)
    for bits in (infinity, infinity + 1, infinity | sign, infinity | sign | 1):
        assert not is_finite(np.array([0, bits], unsigned).tobytes(), dtype)
    for bits in (0, 1, sign, infinity - 1, (infinity - 1) | sign):
        assert is_finite(np.array([bits, 0], unsigned).tobytes(), dtype)


@pytest.mark.parametrize(
    ("number", "finite"),
    [(0.0, True), (3.4e38, True), (3.5e38, False), (-1e300, False), (float("nan"), False)],
)
def test_what_single_precision_cannot_hold_is_not_finite(number: float, finite: bool) -> None:
    assert is_finite(np.array([1.0, number]).tobytes(), "F64") is finite
