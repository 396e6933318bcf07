import json
from pathlib import Path

import pytest
from safetensors.numpy import save_file

from serve_app.adapters import base
from serve_app.adapters.base import read_base
from serve_app.errors import ConfigError
from tests.small_models import Shape, base_tensors, write_base, write_config

SHAPE = Shape()


@pytest.fixture
def no_outline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks transformers gets no answer: a module that is not there."""
    monkeypatch.setattr(base, "OUTLINE_MODULE", "serve_app.not_there")


def test_layers_are_read_from_the_headers_of_the_weights(tmp_path: Path, no_outline: None) -> None:
    assert read_base(str(write_base(tmp_path / "base"))) == SHAPE.base


def test_layers_are_read_from_every_shard(tmp_path: Path, no_outline: None) -> None:
    directory = write_config(tmp_path / "base")
    tensors = base_tensors(SHAPE)
    shards = {name: f"model-{number % 2}.safetensors" for number, name in enumerate(tensors)}
    for shard in set(shards.values()):
        save_file({n: t for n, t in tensors.items() if shards[n] == shard}, directory / shard)
    (directory / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert read_base(str(directory)) == SHAPE.base


def test_without_weights_the_config_tells(tmp_path: Path) -> None:
    assert read_base(str(write_config(tmp_path / "base"))) == SHAPE.base


@pytest.mark.parametrize(
    "change",
    [
        {"quantization_config": {"quant_method": "gptq"}},
        {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        {"architectures": ["LlavaForConditionalGeneration"]},
        {"architectures": None},
    ],
    ids=str,
)
def test_weights_that_do_not_bear_the_modules_own_names_and_shapes_are_not_believed(
    tmp_path: Path, no_outline: None, change: dict[str, object]
) -> None:
    directory = write_base(tmp_path / "base")
    config = json.loads((directory / "config.json").read_text())
    (directory / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ConfigError, match=r"engine\.model.*neither"):
        read_base(str(directory))


@pytest.mark.parametrize("spoiled", [b"", b"\xff" * 8, (9).to_bytes(8, "little") + b"not JSON!"])
def test_weights_that_cannot_be_read_are_not_believed(
    tmp_path: Path, no_outline: None, spoiled: bytes
) -> None:
    directory = write_base(tmp_path / "base")
    (directory / "model.safetensors").write_bytes(spoiled)
    with pytest.raises(ConfigError, match=r"engine\.model"):
        read_base(str(directory))


def test_what_is_no_model_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"engine\.model: cannot find out which layers"):
        read_base(str(tmp_path))
