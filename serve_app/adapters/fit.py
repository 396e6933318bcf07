"""Whether an adapter's tensors fit the base: every module known, in pairs, of the right shapes.

vLLM itself lets a matrix that is too small, a module it does not know or a whole missing half
pass, and then answers wrongly.
"""

import re
from collections.abc import Callable, Iterable, Mapping

from serve_app.adapters import refusal as codes
from serve_app.adapters.base import Base, is_adaptable
from serve_app.adapters.lora_config import LoraConfig
from serve_app.adapters.refusal import refusal, shown
from serve_app.adapters.safetensors_header import Tensor
from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE

PREFIX = "base_model.model."
"""What PEFT puts before the names of the base's own modules."""

_SUFFIXES = {"A": ".lora_A.weight", "B": ".lora_B.weight"}


def must_fit(config: LoraConfig, tensors: Iterable[Tensor], base: Base) -> None:
    """Pass if the tensors are those of ``config`` for ``base``.

    Raises:
        AdapterRefused: they are not; the message names the first that is not.
    """
    found = _by_module(tensors, base)
    if not found:
        raise refusal(codes.WEIGHTS_INVALID, f"{WEIGHTS_FILE}: there are no tensors in it")
    rank_of = _ranks(config)
    for module, pair in found.items():
        _must_be_pair(module, pair)
        _must_have_shapes(module, pair, rank_of(module), base)
    _must_be_whole(config, found, base)


def _by_module(tensors: Iterable[Tensor], base: Base) -> dict[str, dict[str, Tensor]]:
    """Matrices "A" and "B" by the base's module."""
    found: dict[str, dict[str, Tensor]] = {}
    for tensor in tensors:
        module, matrix = _module_of(tensor.name)
        _must_be_known(tensor.name, module, base)
        found.setdefault(module, {})[matrix] = tensor
    return found


def _module_of(name: str) -> tuple[str, str]:
    for matrix, suffix in _SUFFIXES.items():
        if name.endswith(suffix):
            return name.removesuffix(suffix).removeprefix(PREFIX), matrix
    if "lora_embedding_" in name:
        raise _unserved(name)
    raise refusal(
        codes.TENSOR_UNKNOWN,
        f"{WEIGHTS_FILE}: tensor {shown(name)} is no LoRA matrix; only names that end in "
        f"{' or '.join(_SUFFIXES.values())} are served, as PEFT's save_pretrained writes them",
    )


def _must_be_known(name: str, module: str, base: Base) -> None:
    if not name.startswith(PREFIX):
        raise refusal(
            codes.MODULE_UNKNOWN,
            f"{WEIGHTS_FILE}: tensor {shown(name)} does not begin with {PREFIX}, as PEFT's "
            "save_pretrained writes names",
        )
    if module in base.modules:
        return
    if not is_adaptable(module):
        raise _unserved(name)
    raise refusal(
        codes.MODULE_UNKNOWN,
        f"{WEIGHTS_FILE}: tensor {shown(name)} is for a module the base model does not have; its "
        f"modules are named like {shown(next(iter(base.modules)))}. Was the adapter trained on "
        "another base?",
    )


def _unserved(name: str) -> Exception:
    return refusal(
        codes.MODULE_UNSERVED,
        f"{WEIGHTS_FILE}: tensor {shown(name)} adapts an embedding, a head or what is not text; "
        "only the linear layers in between are served: train without it",
    )


def _must_be_pair(module: str, pair: Mapping[str, Tensor]) -> None:
    for matrix, suffix in _SUFFIXES.items():
        if matrix not in pair:
            raise refusal(
                codes.TENSORS_MISSING,
                f"{WEIGHTS_FILE}: {shown(PREFIX + module + suffix)} is missing; a LoRA has both "
                "matrices of a module",
            )


def _must_have_shapes(module: str, pair: Mapping[str, Tensor], rank: int, base: Base) -> None:
    layer = base.modules[module]
    expected = {"A": (rank, layer.inputs), "B": (layer.outputs, rank)}
    for matrix, tensor in pair.items():
        if tensor.shape == expected[matrix]:
            continue
        own_rank = tensor.shape[0 if matrix == "A" else -1] if len(tensor.shape) == 2 else None
        if own_rank == rank:
            raise refusal(
                codes.SHAPE_MISMATCH,
                f"{WEIGHTS_FILE}: tensor {shown(tensor.name)} has shape {list(tensor.shape)}, but "
                f"the base model's layer needs {list(expected[matrix])}. Was the adapter trained "
                "on another base?",
            )
        raise refusal(
            codes.RANK_MISMATCH,
            f"{WEIGHTS_FILE}: tensor {shown(tensor.name)} has shape {list(tensor.shape)}, but "
            f"{CONFIG_FILE} says rank {rank}: {list(expected[matrix])}",
        )


def _ranks(config: LoraConfig) -> Callable[[str], int]:
    """The rank of a module, by PEFT's rule: the first key that ends its name, else ``r``."""
    patterns = [
        (re.compile(rf"(.*\.)?({key})$"), rank) for key, rank in config.rank_patterns.items()
    ]

    def rank_of(module: str) -> int:
        return next((rank for key, rank in patterns if key.match(module)), config.rank)

    return rank_of


def _must_be_whole(config: LoraConfig, found: Mapping[str, object], base: Base) -> None:
    """Every module that the config says is adapted has tensors."""
    if config.targets is None:
        return
    for module in base.modules:
        if module not in found and _is_target(module, config):
            raise refusal(
                codes.TENSORS_MISSING,
                f"{WEIGHTS_FILE}: no tensors for {shown(module)}, though {CONFIG_FILE} names it "
                "in target_modules; if it was not trained, say so by layers_to_transform or "
                "exclude_modules. Was the adapter trained on another base?",
            )


def _is_target(module: str, config: LoraConfig) -> bool:
    named = any(
        module == target or module.endswith(f".{target}") for target in config.targets or ()
    )
    return named and (config.layers is None or _layer(module) in config.layers)


def _layer(module: str) -> int | None:
    return next((int(part) for part in module.split(".") if part.isdecimal()), None)
