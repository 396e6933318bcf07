"""ASGI middleware: a body that is too large is refused as soon as that is known, on every route."""

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Reading a body larger than ``max_bytes`` raises a 413, wherever it is read."""

    def __init__(self, app: ASGIApp, max_bytes: int) -> None:
        self._app = app
        self._max_bytes = max_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            receive = self._counting(receive, _declared_bytes(scope))
        await self._app(scope, receive, send)

    def _counting(self, receive: Receive, declared: int) -> Receive:
        read = 0

        async def receive_counting() -> Message:
            nonlocal read
            self._check(declared)
            message = await receive()
            read += len(message.get("body", b""))
            self._check(read)
            return message

        return receive_counting

    def _check(self, size: int) -> None:
        if size > self._max_bytes:
            raise HTTPException(413, f"The body is larger than {self._max_bytes} bytes.")


def _declared_bytes(scope: Scope) -> int:
    """What ``Content-Length`` says, 0 if it says nothing that counts."""
    declared = Headers(scope=scope).get("content-length", "")
    return int(declared) if declared.isascii() and declared.isdigit() else 0
