"""Our reading of a header against the format's own reader: never more is accepted."""

import json
from typing import Any

import pytest
import safetensors
from hypothesis import example, given
from hypothesis import strategies as st

from serve_app.adapters.safetensors_header import (
    PREFIX_BYTES,
    Tensor,
    header_length,
    read_header,
)
from serve_app.errors import AdapterRefused

_deserialize: Any = safetensors.deserialize


def _read(whole: bytes) -> list[Tensor] | None:
    """The tensors of a file of these bytes, None if it is refused."""
    try:
        length = header_length(whole[:PREFIX_BYTES], len(whole))
        data_begin = PREFIX_BYTES + length
        return read_header(whole[PREFIX_BYTES:data_begin], len(whole) - data_begin)
    except AdapterRefused:
        return None


def _must_agree(whole: bytes) -> None:
    """What we accept is what the library reads."""
    ours = _read(whole)
    if ours is None:
        return
    theirs = {name: tuple(told["shape"]) for name, told in _deserialize(whole)}
    assert {tensor.name: tensor.shape for tensor in ours} == theirs


def _file(header: bytes, data: bytes = b"") -> bytes:
    return len(header).to_bytes(8, "little") + header + data


GOOD = _file(
    json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a.lora_A.weight": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "a.lora_B.weight": {"dtype": "F16", "shape": [4, 2], "data_offsets": [24, 40]},
        }
    ).encode(),
    bytes(40),
)


def test_a_sound_header_is_read_in_the_order_of_its_bytes() -> None:
    assert _read(GOOD) == [
        Tensor("a.lora_A.weight", "F32", (2, 3), 0, 24),
        Tensor("a.lora_B.weight", "F16", (4, 2), 24, 40),
    ]
    _must_agree(GOOD)


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_in_peace(raw: bytes) -> None:
    _must_agree(raw)
    _must_agree(_file(raw))


@given(st.data())
def test_a_spoiled_file_is_refused_in_peace_or_means_what_the_library_reads(
    data: st.DataObject,
) -> None:
    spoiled = bytearray(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(spoiled) - 1))
        spoiled[at : at + data.draw(st.integers(0, 3))] = data.draw(st.binary(max_size=3))
    _must_agree(bytes(spoiled))


LARGE = ["18446744073709551616", "9" * 5000, "Infinity", "[8]"]
NUMBERS = st.sampled_from(
    [
        *LARGE,
        "0",
        "-0",
        "1",
        "2",
        "4",
        "8",
        "8.0",
        "1e1",
        "-1",
        "true",
        "null",
        '"8"',
        "01",
        "NaN",
        *LARGE,
    ]
)
NAMES = st.sampled_from(
    ['"a"', '"b"', '"\\ud800"', '"\\u0061"', '"\\u0000"', "1", '"__metadata__"']
)
EXTRAS = st.sampled_from(["", "", "", ', "more": 1', ', "dtype": "F32"', ', "shape": [2]', ","])
DTYPES = st.sampled_from(['"F32"', '"F32"', '"F16"', '"F64"', '"BF16"', '"U8"', '"f32"', "null"])


@st.composite
def _tensors(draw: st.DrawFn) -> str:
    shape = ", ".join(draw(st.lists(NUMBERS, max_size=2)))
    begin, end = draw(NUMBERS), draw(NUMBERS)
    return (
        f'{draw(NAMES)}: {{"dtype": {draw(DTYPES)}, "shape": [{shape}], '
        f'"data_offsets": [{begin}, {end}]{draw(EXTRAS)}}}'
    )


METADATA = st.sampled_from(
    [
        "",
        '"__metadata__": null, ',
        '"__metadata__": {"a": "b"}, ',
        '"__metadata__": {"a": 1}, ',
        '"__metadata__": {"a": "b", "a": "c"}, ',
        '"__metadata__": {"\\ud800": "b"}, ',
    ]
)


@given(
    tensors=st.lists(_tensors(), max_size=3),
    metadata=METADATA,
    space=st.sampled_from(["", "", " ", "\n", "x", "\0", "}"]),
    data=st.sampled_from([0, 4, 8, 12, 16]),
)
@example(['"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'], "", " ", 8)
@example(['"a": {"dtype": "F32", "shape": [2], "data_offsets": [-0, 8]}'], "", "", 8)
@example(['"\\ud800": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}'], "", "", 8)
def test_json_that_is_nearly_a_header_means_what_the_library_reads(
    tensors: list[str], metadata: str, space: str, data: int
) -> None:
    header = f"{{{metadata}{', '.join(tensors)}}}{space}"
    _must_agree(_file(header.encode(), bytes(data)))


@pytest.mark.parametrize(
    "shape", [[], [2], [2, 1, 1], [0, 4]], ids=["a scalar", "a row", "a block", "nothing"]
)
def test_any_number_of_dimensions_is_read(shape: list[int]) -> None:
    size = 4 * int(bool(not shape or all(shape))) * (shape[0] if shape else 1)
    told: dict[str, Any] = {"dtype": "F32", "shape": shape, "data_offsets": [0, size]}
    whole = _file(json.dumps({"a": told}).encode(), bytes(size))
    assert _read(whole) is not None
    _must_agree(whole)
