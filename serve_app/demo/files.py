"""The demo model on disk: Hugging Face's layout for the base, PEFT's for each adapter."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from peft import PeftModel
from transformers import LlamaForCausalLM, PreTrainedModel, PreTrainedTokenizerFast

from serve_app.demo.lexicon import BASE

BASE_NAME = "serve-app-demo"


def save_base(model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write weights, configuration and tokenizer to `folder`."""
    model.save_pretrained(folder)
    _readable(folder / "model.safetensors")
    tokenizer.save_pretrained(folder)
    config = json.loads((folder / "tokenizer_config.json").read_text())
    # The class that transformers 4 and 5 both know.
    _write_json(
        folder / "tokenizer_config.json", config | {"tokenizer_class": "PreTrainedTokenizerFast"}
    )


def save_adapter(model: PeftModel, folder: Path) -> None:
    """Write `adapter_config.json` and `adapter_model.safetensors` to `folder`, and nothing else."""
    model.peft_config["default"].base_model_name_or_path = BASE_NAME
    model.save_pretrained(str(folder), save_embedding_layers=False)
    _readable(folder / "adapter_model.safetensors")
    (folder / "README.md").unlink()
    config = json.loads((folder / "adapter_config.json").read_text())
    # PEFT writes a set, in an order that changes from run to run.
    _write_json(
        folder / "adapter_config.json",
        config | {"target_modules": sorted(config["target_modules"])},
    )


def load_tokenizer(base: Path) -> PreTrainedTokenizerFast:
    """Read the tokenizer next to the base's weights."""
    return PreTrainedTokenizerFast.from_pretrained(base)


def load_voices(
    base: Path, adapters: Mapping[str, Path], dtype: torch.dtype
) -> Iterator[tuple[str, PreTrainedModel]]:
    """Yield each voice's name with a model that speaks so until the next is asked for."""
    model = LlamaForCausalLM.from_pretrained(base, dtype=dtype)
    yield BASE, model
    for name, folder in adapters.items():
        adapted = PeftModel.from_pretrained(model, folder).to(dtype)
        yield name, adapted
        model = adapted.unload()


def _readable(weights: Path) -> None:
    """Let other users read the weights, as they may the rest: safetensors keeps them to itself."""
    weights.chmod(0o644)


def _write_json(path: Path, content: Mapping[str, object]) -> None:
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n")
