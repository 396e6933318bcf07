"""Every kind of broken adapter, made on disk from a good one in PEFT's format (float32 weights).

``BROKEN[kind](good, into)`` writes the broken adapter to the new directory ``into`` and returns
the code it must be refused with.
"""

import os
from pathlib import Path

import numpy as np

from tests.breaking import (
    CONFIG_FILE,
    FEATURE,
    FILE_MISSING,
    INVALID,
    MISSING,
    NOT_FINITE,
    NOT_REGULAR,
    RANK,
    SHAPE,
    TENSOR,
    UNKNOWN,
    WEIGHTS,
    WEIGHTS_FILE,
    Break,
    config_with,
    empty_tensors,
    every,
    file,
    half_rank,
    header,
    last,
    link,
    nothing,
    one,
    pickled,
    poisoned,
    raw_config,
    raw_weights,
    renamed,
    shift,
    tensors,
    twice,
    wide,
    with_layer,
    with_tensor,
    without,
    without_last_kind,
)

__all__ = ["BROKEN", "Break"]

_LAYER = "base_model.model.model.layers.0.self_attn.q_proj"

BROKEN: dict[str, Break] = {
    # the config
    "a config that is not JSON": raw_config(INVALID, b"r = 8"),
    "a config that is not UTF-8": raw_config(INVALID, '{"r": 8}'.encode("utf-16")),
    "a config that is a list": raw_config(INVALID, b"[]"),
    "a config nested without end": raw_config(INVALID, b'{"a":' * 100_000),
    "a huge config": raw_config("adapter_file_too_large", b" " * ((1 << 20) + 1)),
    "no rank": config_with(INVALID, r=None),
    "a rank of zero": config_with(INVALID, r=0),
    "a rank in words": config_with(INVALID, r="8"),
    "a rank that is a truth": config_with(INVALID, r=True),
    "a rank above the largest": config_with("adapter_rank_too_large", r=1024),
    "a pattern's rank above the largest": config_with(
        "adapter_rank_too_large", rank_pattern={"q_proj": 1024}
    ),
    "no lora_alpha": config_with(INVALID, lora_alpha=None),
    "a lora_alpha of nothing": config_with(INVALID, lora_alpha=0),
    "a lora_alpha that is no number": config_with(INVALID, lora_alpha=float("nan")),
    "a lora_alpha without end": config_with(INVALID, lora_alpha=float("inf")),
    "no target_modules": config_with(INVALID, target_modules=None),
    "a pattern that takes for ever": config_with(INVALID, rank_pattern={"(a+)+$": 8}),
    "thousands of patterns": config_with(INVALID, alpha_pattern={f"m{n}": 8 for n in range(5000)}),
    "another method": config_with("adapter_type_unsupported", peft_type="IA3"),
    "no method": config_with("adapter_type_unsupported", peft_type=None),
    "DoRA": config_with("adapter_dora_unsupported", use_dora=True),
    "a bias": config_with("adapter_bias_unsupported", bias="all"),
    "a LoRA bias": config_with("adapter_bias_unsupported", lora_bias=True),
    "saved modules": config_with(
        "adapter_modules_to_save_unsupported", modules_to_save=["lm_head"]
    ),
    "a classifier": config_with("adapter_task_unsupported", task_type="SEQ_CLS"),
    "PiSSA, which changes the base": config_with(FEATURE, init_lora_weights="pissa"),
    "LoftQ, which changes the base": config_with(FEATURE, init_lora_weights="loftq"),
    "an activated LoRA": config_with(FEATURE, alora_invocation_tokens=[1, 2]),
    "trained tokens": config_with(FEATURE, trainable_token_indices=[3]),
    "LoRA on parameters": config_with(FEATURE, target_parameters=["experts.gate_up_proj"]),
    "replicated layers": config_with(FEATURE, layer_replication=[[0, 1], [0, 1]]),
    "KaSA": config_with(FEATURE, kasa_config={"beta": 1e-4}),
    # the files
    "no config": file(FILE_MISSING, CONFIG_FILE, nothing),
    "no weights": file(FILE_MISSING, WEIGHTS_FILE, nothing),
    "pickled weights": file("adapter_pickle_unsupported", WEIGHTS_FILE, pickled),
    "a config that is a link": file(NOT_REGULAR, CONFIG_FILE, link),
    "weights that are a link": file(NOT_REGULAR, WEIGHTS_FILE, link),
    "a config that is a pipe": file(NOT_REGULAR, CONFIG_FILE, os.mkfifo),
    "weights that are a pipe": file(NOT_REGULAR, WEIGHTS_FILE, os.mkfifo),
    "weights that are a directory": file(NOT_REGULAR, WEIGHTS_FILE, Path.mkdir),
    # the weights' file
    "weights of nothing": raw_weights(WEIGHTS, lambda _raw: b""),
    "weights cut short": raw_weights(WEIGHTS, lambda raw: raw[:-1]),
    "weights with something behind": raw_weights(WEIGHTS, lambda raw: raw + b"\0"),
    "a header that claims a terabyte": raw_weights(
        WEIGHTS, lambda raw: (1 << 40).to_bytes(8, "little") + raw[8:]
    ),
    "a header above the cap": header(WEIGHTS, lambda _h: b" " * ((1 << 20) + 1)),
    "a header that is not JSON": header(WEIGHTS, lambda _h: b"tensors"),
    "a header that is a list": header(WEIGHTS, lambda _h: b"[1]"),
    "a header nested without end": header(WEIGHTS, lambda _h: b'{"a":' * 100_000),
    "a tensor twice": header(WEIGHTS, twice),
    "tensors that overlap": header(WEIGHTS, shift(-4)),
    "tensors with a gap between": header(WEIGHTS, shift(4)),
    "no tensors": tensors(WEIGHTS, lambda _t: {}),
    "whole numbers": tensors(
        "adapter_dtype_unsupported", every(lambda _name, tensor: tensor.astype(np.int8))
    ),
    "too many tensors": header("adapter_tensors_too_many", empty_tensors),
    # the tensors
    "a whole embedding": tensors(TENSOR, with_tensor("model.embed_tokens.weight", 4, 4)),
    "a magnitude vector": tensors(TENSOR, with_tensor(f"{_LAYER}.lora_magnitude_vector", 1, 4)),
    "names of an adapter in memory": tensors(
        TENSOR, renamed("lora_A.weight", "lora_A.default.weight")
    ),
    "LoRA on the head": tensors(
        "adapter_module_unsupported", with_tensor("base_model.model.lm_head.lora_A.weight", 8, 32)
    ),
    "LoRA on the embedding": tensors(
        "adapter_module_unsupported",
        with_tensor("base_model.model.model.embed_tokens.lora_embedding_A", 8, 32),
    ),
    "names without PEFT's prefix": tensors(UNKNOWN, renamed("base_model.model.", "")),
    "names with another prefix": tensors(
        UNKNOWN, renamed("base_model.model.model.", "base_model.model.transformer.")
    ),
    "names with the prefix twice": tensors(
        UNKNOWN, renamed("base_model.model.", "base_model.model.base_model.model.")
    ),
    "modules of another architecture": tensors(UNKNOWN, renamed("_proj.", "_projection.")),
    "surplus layers": tensors(UNKNOWN, with_layer(999)),
    "a layer that is missing": tensors(MISSING, without(lambda name: ".layers.0." in name)),
    "a target that is missing": tensors(MISSING, without_last_kind),
    "A without B": tensors(MISSING, lambda tensors: without(last(tensors, "B").__eq__)(tensors)),
    "B without A": tensors(MISSING, lambda tensors: without(last(tensors, "A").__eq__)(tensors)),
    "an A too small": tensors(SHAPE, one("A", lambda a: a[:, : a.shape[1] // 2])),
    "an A too large": tensors(SHAPE, one("A", lambda a: np.concatenate([a, a], axis=1))),
    "a B too small": tensors(SHAPE, one("B", lambda b: b[: b.shape[0] // 2])),
    "a B too large": tensors(SHAPE, one("B", lambda b: np.concatenate([b, b]))),
    "another base": tensors(SHAPE, every(wide)),
    "a rank the tensors do not have": tensors(RANK, every(half_rank)),
    "one tensor of another rank": tensors(RANK, one("A", lambda a: a[:-1])),
    "a pattern's rank the tensors do not have": config_with(RANK, rank_pattern={"down_proj": 1}),
    "matrices on their side": tensors(RANK, every(lambda _name, tensor: tensor.T)),
    "a tensor in three dimensions": tensors(RANK, one("A", lambda a: a[:, :, None])),
    "NaN in the weights": tensors(NOT_FINITE, poisoned(float("nan"))),
    "infinity in the weights": tensors(NOT_FINITE, poisoned(float("-inf"))),
}
