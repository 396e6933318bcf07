"""Checks an adapter's files before any engine sees them, and digests the very bytes it checked.

vLLM refuses some bad adapters while it loads them, serves garbage from others and dies of a few.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from serve_app.adapters import refusal as codes
from serve_app.adapters.base import Base
from serve_app.adapters.finite import is_finite
from serve_app.adapters.fit import must_fit
from serve_app.adapters.lora_config import MAX_CONFIG_BYTES, read_config
from serve_app.adapters.refusal import PICKLED_FILES, missing, pickled, refusal, shown
from serve_app.adapters.regular_file import regular_file
from serve_app.adapters.safetensors_header import (
    PREFIX_BYTES,
    Tensor,
    header_length,
    read_header,
)
from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE
from serve_app.errors import AdapterRefused

_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Checked:
    """An adapter that may be served: what ``Version`` says of its content."""

    digest: str
    rank: int
    size_bytes: int


def check(adapter: str, directory: Path, base: Base, max_rank: int) -> Checked:
    """What is in ``directory``, if an engine with ``base`` and ``max_rank`` can serve it.

    Reads every byte once, a few megabytes at a time.

    Args:
        adapter: its name, for messages.

    Raises:
        AdapterRefused: with a code per reason.
    """
    try:
        with _opened(directory) as (config_file, weights_file):
            return _check(config_file, weights_file, base, max_rank)
    except AdapterRefused as error:
        raise AdapterRefused(f"adapter {adapter!r}: {error.message}", code=error.code) from None


def _check(config_file: BinaryIO, weights_file: BinaryIO, base: Base, max_rank: int) -> Checked:
    raw_config = _read_config(config_file)
    config = read_config(raw_config, max_rank)
    weights = _Weights(weights_file, raw_config)
    tensors = weights.header()
    must_fit(config, tensors, base)
    for tensor in tensors:
        weights.must_be_finite(tensor)
    return Checked(weights.digest(), config.largest_rank, len(raw_config) + weights.size_bytes)


@contextmanager
def _opened(directory: Path) -> Iterator[tuple[BinaryIO, BinaryIO]]:
    try:
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        raise missing(CONFIG_FILE) from None
    try:
        with _file(CONFIG_FILE, held) as config, _file(WEIGHTS_FILE, held) as weights:
            yield config, weights
    finally:
        os.close(held)


@contextmanager
def _file(name: str, directory: int) -> Iterator[BinaryIO]:
    try:
        with regular_file(name, directory) as file:
            yield file
    except FileNotFoundError:
        raise _missing(name, directory) from None


def _missing(name: str, directory: int) -> AdapterRefused:
    for other in PICKLED_FILES if name == WEIGHTS_FILE else ():
        with suppress(FileNotFoundError):
            os.stat(other, dir_fd=directory, follow_symlinks=False)
            return pickled(other)
    return missing(name)


def _read_config(file: BinaryIO) -> bytes:
    raw = file.read(MAX_CONFIG_BYTES + 1)
    if len(raw) > MAX_CONFIG_BYTES:
        raise refusal(
            codes.FILE_TOO_LARGE, f"{CONFIG_FILE} is larger than {MAX_CONFIG_BYTES} bytes"
        )
    return raw


class _Weights:
    """The weights file, read once from its begin to its end; all that is read is digested."""

    def __init__(self, file: BinaryIO, raw_config: bytes) -> None:
        self._file = file
        self.size_bytes = os.fstat(file.fileno()).st_size
        self._whole = hashlib.sha256()
        for part in (_length(len(raw_config)), raw_config, _length(self.size_bytes)):
            self._whole.update(part)

    def header(self) -> list[Tensor]:
        length = header_length(self._read(PREFIX_BYTES), self.size_bytes)
        return read_header(self._read(length), self.size_bytes - PREFIX_BYTES - length)

    def must_be_finite(self, tensor: Tensor) -> None:
        """Read one tensor, the next after the one before, and look at every number in it."""
        left = tensor.end - tensor.begin
        while left:
            chunk = self._read(min(left, _CHUNK_BYTES))
            left -= len(chunk)
            if not chunk:
                raise _changed()
            if not is_finite(chunk, tensor.dtype):
                raise refusal(
                    codes.NOT_FINITE,
                    f"{WEIGHTS_FILE}: tensor {shown(tensor.name)} holds NaN or infinite numbers; "
                    "did the training diverge?",
                )

    def digest(self) -> str:
        """Of both files, as ``version.digest_of`` has it, once every tensor has been read."""
        if self._file.read(1):
            raise _changed()
        return self._whole.hexdigest()

    def _read(self, count: int) -> bytes:
        chunk = self._file.read(count)
        self._whole.update(chunk)
        return chunk


def _length(count: int) -> bytes:
    return count.to_bytes(8, "big")


def _changed() -> AdapterRefused:
    return refusal(codes.WEIGHTS_INVALID, f"{WEIGHTS_FILE} changed while it was read")
