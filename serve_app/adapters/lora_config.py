"""What ``adapter_config.json`` promises, as far as an engine would do what PEFT did.

The rules are those of vLLM's ``PEFTHelper``, and stricter where it would silently serve something
else than was trained.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from serve_app.adapters import refusal as codes
from serve_app.adapters.refusal import refusal, shown
from serve_app.adapters.version import CONFIG_FILE

MAX_CONFIG_BYTES = 1 << 20
MAX_PATTERNS = 450
"""vLLM compiles patterns anew for every module when there are more than its cache holds (500)."""

_PATTERN = re.compile(r"\^?[A-Za-z0-9_.]{1,256}")
_MAX_ALPHA = 1e6
_HARMLESS_INITS = {"gaussian", "eva", "orthogonal", "mica", "lora_ga"}
_OTHER_TASKS = {"SEQ_CLS", "TOKEN_CLS", "QUESTION_ANS", "SEQ_2_SEQ_LM"}

_FEATURES = {
    "use_dora": (codes.DORA, "DoRA is not served; train with use_dora=False"),
    "lora_bias": (codes.BIAS, "a LoRA bias is not served; train with lora_bias=False"),
    "modules_to_save": (
        codes.MODULES_TO_SAVE,
        "whole modules in an adapter are not served; train without modules_to_save",
    ),
    "trainable_token_indices": (
        codes.FEATURE,
        "trained tokens are not served; train without trainable_token_indices",
    ),
    "target_parameters": (
        codes.FEATURE,
        "LoRA on parameters is not served; train target_modules only",
    ),
    "alora_invocation_tokens": (codes.FEATURE, "activated LoRA (aLoRA) is not served"),
    "layer_replication": (codes.FEATURE, "replicated layers are not served"),
    "use_bdlora": (codes.FEATURE, "block-diagonal LoRA is not served"),
    "use_qalora": (codes.FEATURE, "QALoRA is not served; convert it to a plain LoRA"),
    "kasa_config": (codes.FEATURE, "KaSA is not served; convert it to a plain LoRA"),
    "arrow_config": (codes.FEATURE, "Arrow routing is not served"),
}
"""Keys that must be empty: each changes what the weights mean, and vLLM refuses or ignores it."""


@dataclass(frozen=True, slots=True)
class LoraConfig:
    """The part of a PEFT config that says what its tensors must look like.

    Attributes:
        rank: of every module no pattern is about.
        rank_patterns: rank by a pattern that ends a module's name, the first match wins.
        targets: names, or ends of names, of the adapted modules; None if the config has a regular
            expression or leaves modules out, so that the tensors alone tell.
        layers: numbers of the adapted layers; None for all.
    """

    rank: int
    rank_patterns: Mapping[str, int]
    targets: tuple[str, ...] | None
    layers: frozenset[int] | None

    @property
    def largest_rank(self) -> int:
        return max(self.rank, *self.rank_patterns.values(), 1)


def read_config(raw: bytes, max_rank: int) -> LoraConfig:
    """The config in ``raw``, if an engine with ``max_rank`` serves its kind of adapter.

    Raises:
        AdapterRefused: with a code per reason.
    """
    config = _parse(raw)
    _must_be_plain_lora(config)
    _must_have_scaling(config)
    found = LoraConfig(
        _rank("r", config.get("r")), _rank_patterns(config), _targets(config), _layers(config)
    )
    if found.largest_rank > max_rank:
        raise refusal(
            codes.RANK_TOO_LARGE,
            f"{CONFIG_FILE}: rank {found.largest_rank} is above the largest rank served here, "
            f"{max_rank}; train a smaller rank, or have engine.max_lora_rank raised",
        )
    return found


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        config = json.loads(raw.decode())
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise _invalid("it is not a JSON object in UTF-8")
    return config


def _must_be_plain_lora(config: dict[str, Any]) -> None:
    kind = config.get("peft_type")
    if kind != "LORA":
        raise refusal(
            codes.TYPE,
            f"{CONFIG_FILE}: peft_type is {shown(kind)}; only 'LORA' is served",
        )
    for key, (code, reason) in _FEATURES.items():
        if config.get(key):
            raise refusal(code, f"{CONFIG_FILE}: {key}={shown(config[key])}: {reason}")
    bias = config.get("bias", "none")
    if bias != "none":
        raise refusal(codes.BIAS, f'{CONFIG_FILE}: bias is {shown(bias)}; train with bias="none"')
    _must_keep_the_base(config.get("init_lora_weights"))
    task = config.get("task_type")
    if task in _OTHER_TASKS:
        raise refusal(
            codes.TASK,
            f"{CONFIG_FILE}: task_type is {shown(task)}, whose head is not served here; train "
            "with task_type='CAUSAL_LM'",
        )


def _must_keep_the_base(init: object) -> None:
    """PiSSA, OLoRA, CorDA and LoftQ subtract from the base what they begin with."""
    if isinstance(init, str) and init.lower() not in _HARMLESS_INITS:
        raise refusal(
            codes.FEATURE,
            f"{CONFIG_FILE}: init_lora_weights={shown(init)} changes the base's own weights; save "
            "it as a plain LoRA with PEFT's path_initial_model_for_weight_conversion",
        )


def _must_have_scaling(config: dict[str, Any]) -> None:
    _alpha("lora_alpha", config.get("lora_alpha"))
    for pattern, alpha in _patterns(config, "alpha_pattern").items():
        _alpha(f"alpha_pattern[{shown(pattern)}]", alpha)
    if len(_patterns(config, "alpha_pattern")) + len(_patterns(config, "rank_pattern")) > (
        MAX_PATTERNS
    ):
        raise _invalid(
            f"rank_pattern and alpha_pattern have more than {MAX_PATTERNS} keys; name ends of "
            "modules' names, such as 'q_proj'"
        )
    if not isinstance(config.get("use_rslora", False), bool):
        raise _invalid(f"use_rslora must be true or false, not {shown(config['use_rslora'])}")


def _alpha(key: str, value: object) -> None:
    number = value if isinstance(value, int | float) and not isinstance(value, bool) else 0
    if not 0 < number < _MAX_ALPHA:
        raise _invalid(
            f"{key} must be a number above 0 and below {_MAX_ALPHA:g}, not {shown(value)}"
        )


def _rank(key: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise _invalid(f"{key} must be a positive integer, not {shown(value)}")
    return value


def _rank_patterns(config: dict[str, Any]) -> dict[str, int]:
    patterns = _patterns(config, "rank_pattern")
    return {key: _rank(f"rank_pattern[{shown(key)}]", rank) for key, rank in patterns.items()}


def _patterns(config: dict[str, Any], key: str) -> dict[str, Any]:
    """Patterns are regular expressions that the engine runs: only plain names are let through."""
    patterns = config.get(key) or {}
    if not isinstance(patterns, dict):
        raise _invalid(f"{key} must be an object, not {shown(patterns)}")
    for pattern in patterns:
        if _PATTERN.fullmatch(pattern) is None:
            raise _invalid(
                f"{key} has the key {shown(pattern)}; only modules' names, or ends of them, are "
                "served, no other regular expressions"
            )
    return patterns


def _targets(config: dict[str, Any]) -> tuple[str, ...] | None:
    targets = config.get("target_modules")
    if isinstance(targets, str) and targets:
        return None
    if not isinstance(targets, list) or not targets or not all(isinstance(t, str) for t in targets):
        raise _invalid(f"target_modules must be a list of modules' names, not {shown(targets)}")
    return None if config.get("exclude_modules") else tuple(targets)


def _layers(config: dict[str, Any]) -> frozenset[int] | None:
    layers = config.get("layers_to_transform")
    if layers is None:
        return None
    layers = layers if isinstance(layers, list) else [layers]
    if not all(isinstance(layer, int) and not isinstance(layer, bool) for layer in layers):
        raise _invalid(f"layers_to_transform must be layers' numbers, not {shown(layers)}")
    return frozenset(layers) or None


def _invalid(reason: str) -> Exception:
    return refusal(codes.CONFIG_INVALID, f"{CONFIG_FILE}: {reason}")
