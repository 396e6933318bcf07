import signal
import sys
from pathlib import Path

import psutil
import pytest

from serve_app.bench.sides import Launch, SideFailed, running
from serve_app.cli.environment import any_free

SERVER = """
import http.server, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])),
    http.server.SimpleHTTPRequestHandler).serve_forever()
"""
BROKEN = "print('no such model'); raise SystemExit(3)"


def launch(folder: Path, program: str) -> Launch:
    port = any_free()
    command = [sys.executable, "-c", program, str(port)]
    log = folder / f"{port}.log"
    return Launch("a server", command, {}, port, "/", signal.SIGTERM, log)


def child_of(one: Launch) -> psutil.Process:
    return psutil.Process(int(one.log.read_text().splitlines()[0]))


async def test_servers_run_until_the_context_is_left_and_nothing_of_them_stays(
    tmp_path: Path,
) -> None:
    launches = [launch(tmp_path, SERVER), launch(tmp_path, SERVER)]
    async with running(launches) as servers:
        processes = [psutil.Process(server.pid) for server in servers]
        processes += [child_of(one) for one in launches]
        assert all(process.is_running() for process in processes)
    assert not any(process.is_running() for process in processes)


async def test_a_server_that_does_not_start_fails_with_its_last_words_and_ends_the_other(
    tmp_path: Path,
) -> None:
    good, bad = launch(tmp_path, SERVER), launch(tmp_path, BROKEN)
    with pytest.raises(SideFailed, match=r"(?s)ended with code 3.*no such model"):
        async with running([good, bad]):
            pass
    if good.log.read_text():
        with pytest.raises(psutil.NoSuchProcess):
            child_of(good)


async def test_a_server_that_ends_is_noticed(tmp_path: Path) -> None:
    one = launch(tmp_path, SERVER)
    async with running([one]) as (server,):
        server.must_live()
        process = psutil.Process(server.pid)
        process.kill()
        process.wait()
        with pytest.raises(SideFailed, match="ended with code"):
            server.must_live()
        orphan = child_of(one)
    psutil.wait_procs([orphan], timeout=5)
    assert not orphan.is_running()
