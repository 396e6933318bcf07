import asyncio

import pytest
from starlette.requests import Request
from starlette.types import Message

from serve_app.gateway.reading import model_in, read

HEADS = {
    b'{"model": "acme/finance", "mess': "acme/finance",
    b'{"messages":[{"content":"say \\"model\\": \\"x\\""}],"model":"acme"': "acme",
    b'{"messages":[]': None,
    b'{"model": 3, "x': None,
    b'{"model": "cut of': None,
    b'{"model": "esc\\u0061ped"': None,
    b"\xff\xfe": None,
}


@pytest.mark.parametrize(("head", "model"), HEADS.items())
def test_the_model_of_a_beginning(head: bytes, model: str | None) -> None:
    assert model_in(head) == model


async def _read(*pieces: bytes, declared: int | None) -> tuple[bytes, list[str]]:
    waiting: asyncio.Queue[Message] = asyncio.Queue()
    for number, piece in enumerate(pieces, 1):
        more = number < len(pieces)
        waiting.put_nowait({"type": "http.request", "body": piece, "more_body": more})
    headers = [] if declared is None else [(b"content-length", str(declared).encode())]
    request = Request({"type": "http", "method": "POST", "headers": headers}, waiting.get)
    early: list[str] = []
    return await read(request, 1000, early.append), early


async def test_a_body_in_one_piece_tells_nobody_anything() -> None:
    assert await _read(b'{"model":"a"}', declared=13) == (b'{"model":"a"}', [])


async def test_what_a_long_body_is_for_is_known_when_its_beginning_has_come() -> None:
    body, early = await _read(b'{"model":"a","x":"', b"model", b'"}', declared=25)
    assert (body, early) == (b'{"model":"a","x":"model"}', ["a"])


async def test_a_body_of_unknown_length_may_be_long() -> None:
    assert await _read(b'{"model":"a"}', declared=None) == (b'{"model":"a"}', ["a"])
