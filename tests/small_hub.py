"""A hub of this machine: one repository, ``org/name``, at one revision, ``v1``, in as much of the
hub's API as its own client asks for."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def hub_application(directory: Path, delay_s: float = 0.0) -> web.Application:
    """Serves the files of ``directory``, each after ``delay_s`` seconds."""
    model = {"id": "org/name", "modelId": "org/name", "sha": COMMIT, "siblings": [], "tags": []}
    tree = [
        {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0" * 40}
        for file in directory.iterdir()
    ]

    async def answer(request: web.Request) -> web.StreamResponse:
        path = request.path
        if path in (f"/api/models/org/name/revision/{at}" for at in ("v1", COMMIT)):
            return web.json_response(model)
        if path.startswith(f"/api/models/org/name/tree/{COMMIT}"):
            return web.json_response(tree)
        if path.startswith(f"/org/name/resolve/{COMMIT}/"):
            await asyncio.sleep(delay_s if request.method == "GET" else 0)
            return web.FileResponse(directory / path.rpartition("/")[2])
        reason = "RevisionNotFound" if "org/name" in path else "RepoNotFound"
        return web.Response(status=404, headers={"X-Error-Code": reason})

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    return application


@contextmanager
def running_hub(directory: Path, delay_s: float) -> Iterator[str]:
    """The URL of a hub that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    runner = web.AppRunner(hub_application(directory, delay_s))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(runner.setup(), loop).result(10)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        asyncio.run_coroutine_threadsafe(site.start(), loop).result(10)
        port = runner.addresses[0][1]
        yield f"http://127.0.0.1:{port}"
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
