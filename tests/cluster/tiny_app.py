"""A Serve application with nothing in it but a child process, as an engine would have one."""

import os
import subprocess
import sys

from ray import serve
from starlette.requests import Request
from starlette.responses import JSONResponse

CHILD = "import setproctitle, time; setproctitle.setproctitle('STUB::EngineCore'); time.sleep(600)"


class Tiny:
    def __init__(self) -> None:
        self._child = subprocess.Popen([sys.executable, "-c", CHILD], start_new_session=True)

    async def __call__(self, request: Request) -> JSONResponse:
        return JSONResponse({"pid": os.getpid(), "headers": dict(request.headers)})


app = serve.deployment(ray_actor_options={"num_cpus": 0})(Tiny).bind()
