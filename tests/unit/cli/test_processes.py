"""Which processes a sweep takes, and that it takes no other. Real processes, no Ray."""

import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping

import psutil
import pytest

from serve_app.cli import processes
from serve_app.cli.processes import MARK, Seen, members

Start = Callable[..., subprocess.Popen[bytes]]
SLEEP = "import time; print(flush=True); time.sleep(60)"
STUBBORN = f"import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); {SLEEP}"


@pytest.mark.parametrize(
    ("environment", "run", "belongs"),
    [
        ({MARK: "a"}, "a", True),
        ({MARK: "a"}, "b", False),
        ({MARK: "a"}, None, True),
        ({}, None, False),
        ({MARK: ""}, None, False),
        ({"PATH": f"{MARK}=a"}, "a", False),
    ],
)
def test_the_mark_alone_decides(
    environment: Mapping[str, str], run: str | None, belongs: bool
) -> None:
    assert bool(members([Seen(1, "any", environment)], run)) is belongs


@pytest.fixture
def run() -> str:
    return f"test-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def start(run: str) -> Iterator[Start]:
    started: list[subprocess.Popen[bytes]] = []

    def begin(code: str, mark: str | None = run) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **({MARK: mark} if mark else {})}
        process = subprocess.Popen(
            [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.wait()


def test_a_sweep_ends_what_carries_the_mark_and_leaves_the_rest(start: Start, run: str) -> None:
    ours, anothers, unmarked = start(SLEEP), start(SLEEP, f"{run}-other"), start(SLEEP, None)
    ended = processes.end(run)
    assert [one.pid for one in ended] == [ours.pid]
    assert not psutil.pid_exists(ours.pid)
    assert anothers.poll() is None
    assert unmarked.poll() is None


def test_a_process_that_ignores_sigterm_is_killed(start: Start, run: str) -> None:
    stubborn = start(STUBBORN)
    assert [one.pid for one in processes.end(run)] == [stubborn.pid]
    assert not psutil.pid_exists(stubborn.pid)


def test_grandchildren_in_sessions_of_their_own_are_ended(start: Start, run: str) -> None:
    start(
        f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {SLEEP!r}], "
        f"start_new_session=True, stdout=subprocess.PIPE).stdout.readline(); {SLEEP}"
    )
    assert len(members(processes.look(), run)) == 2
    assert len(processes.end(run)) == 2
    assert members(processes.look(), run) == []


def test_a_process_that_set_its_title_is_still_found(
    start: Start, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    setproctitle = "import setproctitle; setproctitle.setproctitle('engine' * 2_000)"
    pytest.importorskip("setproctitle")
    monkeypatch.setenv("SPT_NOENV", "1")
    start(f"{setproctitle}; {SLEEP}")
    assert [one.run for one in members(processes.look(), run)] == [run]


def test_with_nothing_to_end_a_sweep_is_quick(run: str) -> None:
    began = time.monotonic()
    assert processes.end(run) == []
    assert time.monotonic() - began < 2


def test_a_number_given_to_another_process_since_is_left_alone(start: Start, run: str) -> None:
    other = start(SLEEP, None)
    looks = iter([[Seen(other.pid, "was ours", {MARK: run})], []])
    processes.end(run, look=lambda: next(looks))
    assert psutil.pid_exists(other.pid)
    assert other.poll() is None
