"""An HTTP server on this machine that serves a folder, and misbehaves as a test wants."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web
from aiohttp.test_utils import TestServer


@dataclass
class WebFolder:
    """What the server does.

    Attributes:
        directory: whose files it serves under any path.
        failures: status codes of the next answers; the rest are as they should be.
        redirects: where the next requests are sent.
        breaks: how many of the next answers end in the middle.
        hold: answers stop in the middle until it is set.
        asked: paths, with query, in the order they were asked for.
    """

    directory: Path
    failures: list[int] = field(default_factory=list)
    redirects: list[str] = field(default_factory=list)
    breaks: int = 0
    hold: asyncio.Event | None = None
    asked: list[str] = field(default_factory=list)
    halfway: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path_qs)
        if self.failures:
            return web.Response(status=self.failures.pop(0))
        if self.redirects:
            return web.Response(status=302, headers={"Location": self.redirects.pop(0)})
        file = self.directory / request.path.rpartition("/")[2]
        if not file.is_file():
            return web.Response(status=404)
        return await self._send(request, file.read_bytes())

    async def _send(self, request: web.Request, content: bytes) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(content)
        await response.prepare(request)
        await response.write(content[: len(content) // 2])
        self.halfway.set()
        if self.breaks:
            self.breaks -= 1
            assert request.transport is not None
            request.transport.close()
            return response
        if self.hold is not None:
            await self.hold.wait()
        await response.write(content[len(content) // 2 :])
        return response


@asynccontextmanager
async def web_folder(directory: Path) -> AsyncIterator[WebFolder]:
    """Serve ``directory`` at ``url``."""
    folder = WebFolder(directory)
    application = web.Application()
    application.router.add_get("/{path:.*}", folder.answer)
    async with TestServer(application, host="127.0.0.1") as server:
        folder.url = str(server.make_url("/adapters/acme"))
        yield folder
