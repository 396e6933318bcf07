"""Whether numbers are numbers: a single NaN in an adapter spoils every answer it takes part in."""

import numpy as np

_FLOATS = {"F32": "<f4", "F16": "<f2"}
_BF16_EXPONENT = 0x7F80
_F32_MAX = float(np.finfo(np.float32).max)


def is_finite(raw: bytes, dtype: str) -> bool:
    """Whether ``raw``, whole little-endian numbers of a safetensors dtype, is free of NaN and
    infinity. ``F64`` is served in single precision, so what is too large for that counts as
    infinite."""
    if dtype == "BF16":  # a float32's upper half: all exponent bits set is NaN or infinity
        exponents = np.frombuffer(raw, "<u2") & _BF16_EXPONENT
        return not bool(np.any(exponents == _BF16_EXPONENT))
    if dtype == "F64":
        return bool(np.all(np.abs(np.frombuffer(raw, "<f8")) <= _F32_MAX))
    return bool(np.all(np.isfinite(np.frombuffer(raw, _FLOATS[dtype]))))
