"""Tiny models in the formats of real ones: a Llama's directory, and PEFT adapters that fit it.

No torch: weights are zeros or seeded noise, good for everything but answering.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from serve_app.adapters.base import Base, Linear

PREFIX = "base_model.model."
TARGETS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@dataclass(frozen=True)
class Shape:
    """Widths of a Llama. Every layer's are different, so that none can stand in for another."""

    hidden: int = 32
    intermediate: int = 48
    kv: int = 16
    heads: int = 4
    layers: int = 2
    vocab: int = 64

    @property
    def linears(self) -> dict[str, Linear]:
        """Its linear layers, as a base model names them."""
        return {
            f"model.layers.{layer}.{name}": linear
            for layer in range(self.layers)
            for name, linear in self._block().items()
        }

    @property
    def base(self) -> Base:
        return Base(self.linears)

    def _block(self) -> dict[str, Linear]:
        attention = {
            "q_proj": Linear(self.hidden, self.hidden),
            "k_proj": Linear(self.hidden, self.kv),
            "v_proj": Linear(self.hidden, self.kv),
            "o_proj": Linear(self.hidden, self.hidden),
        }
        mlp = {
            "gate_proj": Linear(self.hidden, self.intermediate),
            "up_proj": Linear(self.hidden, self.intermediate),
            "down_proj": Linear(self.intermediate, self.hidden),
        }
        return {f"self_attn.{name}": linear for name, linear in attention.items()} | {
            f"mlp.{name}": linear for name, linear in mlp.items()
        }


def write_config(into: Path, shape: Shape = Shape()) -> Path:
    """A base model's directory that has no weights."""
    into.mkdir(parents=True, exist_ok=True)
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": shape.hidden,
        "intermediate_size": shape.intermediate,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv * shape.heads // shape.hidden,
        "num_hidden_layers": shape.layers,
        "vocab_size": shape.vocab,
    }
    (into / "config.json").write_text(json.dumps(config))
    return into


def base_tensors(shape: Shape) -> dict[str, Any]:
    tensors: dict[str, Any] = {
        f"{name}.weight": np.zeros((linear.outputs, linear.inputs), np.float32)
        for name, linear in shape.linears.items()
    }
    tensors["model.norm.weight"] = np.ones(shape.hidden, np.float32)
    for name in ("model.embed_tokens", "lm_head"):
        tensors[f"{name}.weight"] = np.zeros((shape.vocab, shape.hidden), np.float32)
    return tensors


def write_base(into: Path, shape: Shape = Shape()) -> Path:
    """A base model's directory: ``config.json`` and ``model.safetensors``."""
    write_config(into, shape)
    save_file(base_tensors(shape), into / "model.safetensors")
    return into


def adapter_config(rank: int, targets: Iterable[str], **changes: Any) -> dict[str, Any]:
    """``adapter_config.json`` as PEFT writes it, as far as anybody reads it."""
    return {
        "base_model_name_or_path": "small",
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": rank,
        "lora_alpha": 2 * rank,
        "target_modules": sorted(targets),
        "bias": "none",
        "lora_bias": False,
        "modules_to_save": None,
        "use_dora": False,
        "use_rslora": False,
        "rank_pattern": {},
        "alpha_pattern": {},
        "layers_to_transform": None,
        "init_lora_weights": True,
        **changes,
    }


def write_adapter(
    into: Path,
    shape: Shape = Shape(),
    *,
    rank: int = 8,
    seed: int = 0,
    targets: Iterable[str] = TARGETS,
    dtype: str = "float32",
    **config: Any,
) -> Path:
    """A good adapter in PEFT's format; another ``seed`` is other content.

    Args:
        config: keys of ``adapter_config.json`` that are to be other than usual.
    """
    into.mkdir(parents=True, exist_ok=True)
    noise, targets = np.random.default_rng(seed), tuple(targets)
    tensors: dict[str, Any] = {}
    for name, linear in shape.linears.items():
        if name.rpartition(".")[2] in targets:
            a, b = (rank, linear.inputs), (linear.outputs, rank)
            tensors[f"{PREFIX}{name}.lora_A.weight"] = noise.normal(0, 0.02, a).astype(dtype)
            tensors[f"{PREFIX}{name}.lora_B.weight"] = noise.normal(0, 0.02, b).astype(dtype)
    text = json.dumps(adapter_config(rank, targets, **config))
    (into / "adapter_config.json").write_text(text)
    save_file(tensors, into / "adapter_model.safetensors", metadata={"format": "pt"})
    return into
