import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from serve_app.adapters.artifacts import Artifacts, bring
from serve_app.adapters.version import FILES, Version, digest_of
from serve_app.errors import SourceUnavailable
from tests.small_models import write_adapter


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "good")


@pytest.fixture
def artifacts(tmp_path: Path) -> Artifacts:
    return Artifacts(tmp_path / "kept")


def _version(directory: Path) -> Version:
    size_bytes = sum((directory / name).stat().st_size for name in FILES)
    return Version("acme", 1, digest_of(directory), 8, size_bytes)


def _keep(artifacts: Artifacts, directory: Path) -> Path:
    with artifacts.scratch() as scratch:
        for name in FILES:
            (scratch / name).write_bytes((directory / name).read_bytes())
        return artifacts.keep(scratch, digest_of(scratch))


def _leftovers(artifacts: Artifacts) -> list[str]:
    scratches = artifacts.path("0" * 64).parent / ".scratch"
    return [path.name for path in scratches.iterdir()]


class Content:
    """Streams a directory's files, and counts how often."""

    def __init__(self, directory: Path, chunk_bytes: int = 1000) -> None:
        self.reads = 0
        self.extra = b""
        self.breaks = False
        self._directory = directory
        self._chunk_bytes = chunk_bytes

    async def read(self, digest: str, name: str) -> AsyncIterator[bytes]:
        self.reads += 1
        content = (self._directory / name).read_bytes() + self.extra
        for begin in range(0, len(content), self._chunk_bytes):
            await asyncio.sleep(0)
            yield content[begin : begin + self._chunk_bytes]
            if self.breaks:
                raise ConnectionError("control is away")


def test_what_is_kept_is_whole_and_read_only(artifacts: Artifacts, good: Path) -> None:
    kept = _keep(artifacts, good)
    digest = digest_of(good)
    assert kept == artifacts.path(digest)
    assert artifacts.has(digest)
    assert artifacts.digests() == {digest}
    assert sorted(path.name for path in kept.iterdir()) == sorted(FILES)
    assert [path.stat().st_mode & 0o222 for path in kept.iterdir()] == [0, 0]
    assert digest_of(kept) == digest
    assert _leftovers(artifacts) == []


def test_keeping_the_same_content_again_changes_nothing(artifacts: Artifacts, good: Path) -> None:
    before = _keep(artifacts, good).stat().st_ino
    assert _keep(artifacts, good).stat().st_ino == before
    assert _leftovers(artifacts) == []


def test_content_that_somebody_damaged_is_replaced(artifacts: Artifacts, good: Path) -> None:
    (_keep(artifacts, good) / FILES[0]).unlink()
    assert not artifacts.has(digest_of(good))
    assert digest_of(_keep(artifacts, good)) == digest_of(good)


def test_content_is_removed_whole_and_may_be_removed_again(
    artifacts: Artifacts, good: Path
) -> None:
    _keep(artifacts, good)
    for _ in range(2):
        artifacts.remove(digest_of(good))
        assert not artifacts.has(digest_of(good))
    assert artifacts.digests() == frozenset()
    assert _leftovers(artifacts) == []


@pytest.mark.parametrize(
    "digest", ["", "..", "../" * 22 + "x", "A" * 64, "a" * 63, "a" * 64 + "\n"]
)
def test_only_a_digest_names_a_directory(artifacts: Artifacts, digest: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        artifacts.path(digest)


def test_a_scratch_directory_is_gone_after_a_failure(artifacts: Artifacts) -> None:
    def fail() -> None:
        with artifacts.scratch() as scratch:
            (scratch / "half").write_bytes(b"x")
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space"):
        fail()
    assert _leftovers(artifacts) == []


HOLDER = """
import sys
from pathlib import Path
from serve_app.adapters.artifacts import Artifacts
with Artifacts(Path(sys.argv[1])).scratch() as scratch:
    (scratch / "half").write_bytes(b"x")
    print(scratch.name, flush=True)
    sys.stdin.read()
"""


def test_what_a_killed_process_left_is_cleaned_and_what_a_living_one_holds_is_not(
    tmp_path: Path, artifacts: Artifacts
) -> None:
    command = [sys.executable, "-c", HOLDER, tmp_path / "kept"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as holder:  # type: ignore[call-overload]
        name = holder.stdout.readline().strip()
        artifacts.clean()
        assert _leftovers(artifacts) == [name]
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
    with artifacts.scratch() as own:
        artifacts.clean()
        assert _leftovers(artifacts) == [own.name]


async def test_what_is_here_is_not_fetched(artifacts: Artifacts, good: Path) -> None:
    content = Content(good)
    kept = _keep(artifacts, good)
    assert await bring(artifacts, _version(good), content.read) == kept
    assert content.reads == 0


async def test_what_is_not_here_is_fetched_once_however_many_want_it(
    artifacts: Artifacts, good: Path
) -> None:
    content, version = Content(good), _version(good)
    brought = await asyncio.gather(*(bring(artifacts, version, content.read) for _ in range(20)))
    assert set(brought) == {artifacts.path(version.digest)}
    assert content.reads == len(FILES)
    assert digest_of(brought[0]) == version.digest
    assert _leftovers(artifacts) == []


BRINGER = """
import asyncio, os, sys, time
from pathlib import Path
from serve_app.adapters.artifacts import Artifacts, bring
from serve_app.adapters.version import Version

kept, good, marks, digest, size_bytes = sys.argv[1:]

async def read(digest, name):
    with (Path(marks) / "reads").open("a") as log:
        log.write(name + "\\n")
    while len(list(Path(marks).glob("want-*"))) < 2:
        await asyncio.sleep(0.01)
    yield (Path(good) / name).read_bytes()

(Path(marks) / f"want-{os.getpid()}").touch()
version = Version("acme", 1, digest, 8, int(size_bytes))
print(asyncio.run(bring(Artifacts(Path(kept)), version, read)))
"""


def test_two_processes_of_a_node_fetch_the_same_content_once(tmp_path: Path, good: Path) -> None:
    version, marks = _version(good), tmp_path / "marks"
    marks.mkdir()
    words = [tmp_path / "kept", good, marks, version.digest, str(version.size_bytes)]
    command = [sys.executable, "-c", BRINGER, *map(str, words)]
    bringers = [subprocess.Popen(command, text=True, stdout=subprocess.PIPE) for _ in range(2)]
    said = [bringer.communicate()[0].strip() for bringer in bringers]
    assert said == [str(tmp_path / "kept" / version.digest)] * 2
    assert (marks / "reads").read_text().split() == list(FILES)


@pytest.mark.parametrize("extra", [b"x", b"x" * 100_000], ids=["a byte", "more than there is"])
async def test_content_that_is_not_the_versions_is_not_kept(
    artifacts: Artifacts, good: Path, extra: bytes
) -> None:
    content, version = Content(good), _version(good)
    content.extra = extra
    with pytest.raises(SourceUnavailable):
        await bring(artifacts, version, content.read)
    assert artifacts.digests() == frozenset()
    assert _leftovers(artifacts) == []


async def test_changed_bytes_of_the_right_number_are_noticed(
    artifacts: Artifacts, good: Path, tmp_path: Path
) -> None:
    other = write_adapter(tmp_path / "other", seed=1)
    with pytest.raises(SourceUnavailable, match="damaged"):
        await bring(artifacts, _version(good), Content(other).read)
    assert artifacts.digests() == frozenset()


async def test_a_fetch_that_broke_off_leaves_nothing_and_can_be_tried_again(
    artifacts: Artifacts, good: Path
) -> None:
    content, version = Content(good), _version(good)
    content.breaks = True
    with pytest.raises(ConnectionError):
        await bring(artifacts, version, content.read)
    assert _leftovers(artifacts) == []
    content.breaks = False
    assert artifacts.has((await bring(artifacts, version, content.read)).name)


async def test_a_cancelled_fetch_lets_the_next_one_through(
    artifacts: Artifacts, good: Path
) -> None:
    started = asyncio.Event()

    async def stuck(_digest: str, _name: str) -> AsyncIterator[bytes]:
        started.set()
        await asyncio.Event().wait()
        yield b""

    first = asyncio.create_task(bring(artifacts, _version(good), stuck))
    await started.wait()
    second = asyncio.create_task(bring(artifacts, _version(good), Content(good).read))
    first.cancel()
    assert artifacts.has((await second).name)
    assert _leftovers(artifacts) == []
