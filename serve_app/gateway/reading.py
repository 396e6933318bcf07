"""A request's body on its way in. What it is for may be known long before its end has come."""

import re
from collections.abc import Callable

from starlette.requests import Request

from serve_app.errors import BodyTooLarge

_MODEL = re.compile(rb'"model"\s*:\s*"([^"\\]{1,256})"')


async def read(request: Request, max_bytes: int, early: Callable[[str], None]) -> bytes:
    """The whole body; ``early`` is told the model it seems to name while more is to come.

    Most bodies come in one piece, and nobody is told anything.

    Raises:
        BodyTooLarge: it is larger than ``max_bytes``.
    """
    pieces: list[bytes] = []
    size = 0
    declared = request.headers.get("content-length", "")
    async for piece in request.stream():
        size += len(piece)
        if size > max_bytes:
            raise BodyTooLarge(f"The body is larger than {max_bytes} bytes.")
        if not pieces and declared != str(len(piece)):
            model = model_in(piece)
            if model is not None:
                early(model)
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def model_in(head: bytes) -> str | None:
    """The model that the beginning of a JSON body names, None if it does not say.

    It is a guess: a nested field may be called so too. Text cannot: its quotes are escaped.
    """
    found = _MODEL.search(head)
    if found is None:
        return None
    return found[1].decode(errors="replace")
