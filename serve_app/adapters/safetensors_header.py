"""The header of a safetensors file, read as strictly as the format's own reader, and more so.

Format: 8 bytes little-endian length, JSON of that length, then the tensors' bytes without gaps
(https://github.com/huggingface/safetensors#format).
"""

import json
import math
from dataclasses import dataclass
from typing import Any, NoReturn

from serve_app.adapters import refusal as codes
from serve_app.adapters.refusal import refusal, shown
from serve_app.adapters.version import WEIGHTS_FILE

MAX_HEADER_BYTES = 1 << 20
MAX_TENSORS = 10_000
PREFIX_BYTES = 8
FLOAT_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2}
_KEYS = {"dtype", "shape", "data_offsets"}
_METADATA = "__metadata__"


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor of floats; ``begin`` and ``end`` count bytes after the header."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


def header_length(prefix: bytes, size_bytes: int) -> int:
    """Bytes of the header of a file that begins with ``prefix`` and is ``size_bytes`` long.

    Raises:
        AdapterRefused: the file cannot hold such a header.
    """
    if len(prefix) < PREFIX_BYTES:
        raise _invalid("it is shorter than its own prefix")
    length = int.from_bytes(prefix, "little")
    if length > MAX_HEADER_BYTES:
        raise _invalid(f"its header claims {length} bytes; at most {MAX_HEADER_BYTES} are read")
    if PREFIX_BYTES + length > size_bytes:
        raise _invalid(f"its header claims {length} bytes of a file of {size_bytes}")
    return length


def read_header(raw: bytes, data_bytes: int) -> list[Tensor]:
    """The tensors that ``raw`` tells of, in the order of their bytes.

    Args:
        data_bytes: bytes of the file after the header.

    Raises:
        AdapterRefused: the header is not one, or does not fit the bytes; a tensor is no floats.
    """
    header = _parse(raw)
    _check_metadata(header.pop(_METADATA, None))
    if len(header) > MAX_TENSORS:
        raise refusal(
            codes.WEIGHTS_TOO_MANY,
            f"{WEIGHTS_FILE}: {len(header)} tensors; at most {MAX_TENSORS} are read",
        )
    tensors = [_tensor(name, described) for name, described in header.items()]
    tensors.sort(key=lambda tensor: (tensor.begin, tensor.end))
    _must_fill(tensors, data_bytes)
    return tensors


def _parse(raw: bytes) -> dict[str, Any]:
    try:
        if not raw.startswith(b"{"):
            raise ValueError("no object")
        header: dict[str, Any] = json.loads(
            raw.decode(),
            object_pairs_hook=_without_duplicates,
            parse_int=_natural,
            parse_float=_no_such_thing,
            parse_constant=_no_such_thing,
        )
        json.dumps(header, ensure_ascii=False).encode()  # a lone surrogate is no text
    except (ValueError, RecursionError):
        raise _invalid("its header cannot be read") from None
    return header


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key comes twice")
    return found


def _natural(digits: str) -> int:
    if digits.startswith("-"):
        raise ValueError("a negative number")
    return int(digits)


def _no_such_thing(text: str) -> NoReturn:
    raise ValueError(f"{text} is no natural number")


def _check_metadata(metadata: object) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _invalid(f"{_METADATA} must hold text only")


def _tensor(name: str, described: object) -> Tensor:
    if not isinstance(described, dict) or described.keys() != _KEYS:
        raise _invalid(f"tensor {shown(name)} is not described by {', '.join(sorted(_KEYS))}")
    dtype, shape, offsets = (described[key] for key in ("dtype", "shape", "data_offsets"))
    if not (_is_naturals(shape) and _is_naturals(offsets) and len(offsets) == 2):
        raise _invalid(f"tensor {shown(name)} has a shape or offsets that are no numbers")
    if not isinstance(dtype, str) or dtype not in FLOAT_BYTES:
        raise refusal(
            codes.DTYPE,
            f"{WEIGHTS_FILE}: tensor {shown(name)} is of {shown(dtype)}; save the adapter in "
            f"one of {', '.join(FLOAT_BYTES)}",
        )
    tensor = Tensor(name, dtype, tuple(shape), *offsets)
    if tensor.end - tensor.begin != math.prod(shape) * FLOAT_BYTES[dtype]:
        raise _invalid(
            f"tensor {shown(name)} has {tensor.end - tensor.begin} bytes, which does not fit its "
            f"shape {shown(shape)} of {dtype}"
        )
    return tensor


def _is_naturals(value: object) -> bool:
    return isinstance(value, list) and all(type(item) is int for item in value)


def _must_fill(tensors: list[Tensor], data_bytes: int) -> None:
    edge = 0
    for tensor in tensors:
        if tensor.begin != edge:
            raise _invalid(f"tensor {shown(tensor.name)} overlaps another, or leaves a gap")
        edge = tensor.end
    if edge != data_bytes:
        raise _invalid(f"its tensors take {edge} bytes, and {data_bytes} are there")


def _invalid(reason: str) -> Exception:
    return refusal(
        codes.WEIGHTS_INVALID,
        f"{WEIGHTS_FILE} is not a sound safetensors file: {reason}; save the adapter again",
    )
