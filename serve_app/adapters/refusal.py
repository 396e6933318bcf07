"""How preflight says no: a code per reason, and words that tell the trainer what to change."""

from serve_app.adapters.version import FILES
from serve_app.errors import AdapterRefused

FILE_MISSING = "adapter_file_missing"
FILE_NOT_REGULAR = "adapter_file_not_regular"
FILE_TOO_LARGE = "adapter_file_too_large"
PICKLED = "adapter_pickle_unsupported"
CONFIG_INVALID = "adapter_config_invalid"
TYPE = "adapter_type_unsupported"
FEATURE = "adapter_feature_unsupported"
DORA = "adapter_dora_unsupported"
BIAS = "adapter_bias_unsupported"
MODULES_TO_SAVE = "adapter_modules_to_save_unsupported"
TASK = "adapter_task_unsupported"
RANK_TOO_LARGE = "adapter_rank_too_large"
WEIGHTS_INVALID = "adapter_weights_invalid"
WEIGHTS_TOO_MANY = "adapter_tensors_too_many"
DTYPE = "adapter_dtype_unsupported"
TENSOR_UNKNOWN = "adapter_tensor_unexpected"
MODULE_UNKNOWN = "adapter_module_unknown"
MODULE_UNSERVED = "adapter_module_unsupported"
TENSORS_MISSING = "adapter_tensors_missing"
RANK_MISMATCH = "adapter_rank_mismatch"
SHAPE_MISMATCH = "adapter_shape_mismatch"
FORBIDDEN = "source_forbidden"
NOT_FINITE = "adapter_weights_not_finite"

PICKLED_FILES = ("adapter_model.bin", "adapter_model.pt")
"""Weights in a format that can hold code, and is never read."""

_SHOWN_CHARS = 100


def refusal(code: str, reason: str) -> AdapterRefused:
    """The refusal for ``code``; a reason names the file, key or tensor and what to do about it."""
    return AdapterRefused(reason, code=code)


def shown(value: object) -> str:
    """A value out of somebody's file, short enough and harmless to repeat."""
    text = ascii(value)
    return text if len(text) <= _SHOWN_CHARS else text[: _SHOWN_CHARS - 3] + "..."


def missing(name: str) -> AdapterRefused:
    """The refusal of a directory that lacks one of the two files."""
    return refusal(
        FILE_MISSING, f"{name} is missing; an adapter in PEFT's format has {' and '.join(FILES)}"
    )


def pickled(name: str) -> AdapterRefused:
    """The refusal of a directory whose only weights are pickled."""
    return refusal(
        PICKLED,
        f"the weights are pickled ({name}), which can hold code; save them as safetensors: "
        "model.save_pretrained(directory, safe_serialization=True)",
    )
