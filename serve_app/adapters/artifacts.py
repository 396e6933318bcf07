"""A node's copies of adapters: one read-only directory per digest, whole or not there at all.

Several processes of a node share it. It knows nothing of names and versions, and never looks into
the files.
"""

import asyncio
import fcntl
import os
import re
import shutil
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import AsyncFileLock

from serve_app.adapters.version import FILES, Version, digest_of
from serve_app.errors import SourceUnavailable

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SCRATCH = ".scratch"
_LOCKS = ".locks"

Read = Callable[[str, str], AsyncIterator[bytes]]
"""Streams one file, by digest and file name."""


class Artifacts:
    """The content of adapters under ``root``, by digest. Every method may block on the disk.

    Raises:
        OSError: the disk is full, or not ours to write.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._scratches = root / _SCRATCH
        self._scratches.mkdir(parents=True, exist_ok=True)
        self.locks = root / _LOCKS
        self.locks.mkdir(exist_ok=True)

    def path(self, digest: str) -> Path:
        """Where the content is, or would be.

        Raises:
            ValueError: ``digest`` is not 64 hex digits.
        """
        if _DIGEST.fullmatch(digest) is None:
            raise ValueError(f"not a digest: {digest!r}")
        return self._root / digest

    def has(self, digest: str) -> bool:
        path = self.path(digest)
        return all((path / name).is_file() for name in FILES)

    def digests(self) -> frozenset[str]:
        """All that is kept."""
        return frozenset(p.name for p in self._root.iterdir() if _DIGEST.fullmatch(p.name))

    def keep(self, directory: Path, digest: str) -> Path:
        """Move a scratch directory in under its digest, unless the content is there already.

        It is on the disk before it can be seen. The caller has verified the digest.
        """
        target = self.path(digest)
        for name in FILES:
            (directory / name).chmod(0o444)
            _sync(directory / name)
        directory.chmod(0o755)
        _sync(directory)
        if target.exists() and not self.has(digest):
            self.remove(digest)  # somebody has been at it
        try:
            directory.rename(target)
        except OSError:
            if not self.has(digest):
                raise
        _sync(self._root)
        return target

    def remove(self, digest: str) -> None:
        """Delete the content, if it is there. Nobody ever sees half of it."""
        with self.scratch() as scratch, suppress(FileNotFoundError):
            self.path(digest).rename(scratch / digest)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """An empty directory on the same disk, deleted with all that is in it at the end."""
        path, held = self._claim()
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            os.close(held)

    def clean(self) -> None:
        """Delete the scratch directories of processes that have ended."""
        for path in self._scratches.iterdir():
            held = _hold(path)
            if held is not None:
                shutil.rmtree(path, ignore_errors=True)
                os.close(held)

    def _claim(self) -> tuple[Path, int]:
        """A new scratch directory and the lock on it; a cleaner may be quicker, then another."""
        while True:
            path = self._scratches / uuid.uuid4().hex
            path.mkdir(mode=0o700)
            held = _hold(path)
            if held is None:
                continue
            if path.is_dir():
                return path, held
            os.close(held)


async def bring(artifacts: Artifacts, version: Version, read: Read) -> Path:
    """The directory of a version's content, fetched with ``read`` if this node lacks it.

    Raises:
        SourceUnavailable: what came is not the version's content.
        OSError: the disk would not take it.
    """
    digest = version.digest
    if artifacts.has(digest):
        return artifacts.path(digest)
    async with AsyncFileLock(artifacts.locks / f"{digest}.lock"):
        if not artifacts.has(digest):
            await _fetch(artifacts, version, read)
    return artifacts.path(digest)


async def _fetch(artifacts: Artifacts, version: Version, read: Read) -> None:
    with artifacts.scratch() as scratch:
        room = version.size_bytes
        for name in FILES:
            room -= await _copy(read(version.digest, name), scratch / name, room)
        if await asyncio.to_thread(digest_of, scratch) != version.digest:
            raise SourceUnavailable(f"the content of {version.name} was damaged on its way")
        await _finish(asyncio.to_thread(artifacts.keep, scratch, version.digest))


async def _finish(work: Coroutine[Any, Any, object]) -> None:
    """Wait for the end of ``work`` even if cancelled: it uses what is deleted next."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


async def _copy(chunks: AsyncIterator[bytes], path: Path, room: int) -> int:
    """Write what comes; the number of bytes."""
    copied = 0
    with path.open("xb") as file:
        async for chunk in chunks:
            copied += len(chunk)
            if copied > room:
                raise SourceUnavailable(f"{path.name} is larger than it was registered")
            await asyncio.to_thread(file.write, chunk)
    return copied


def _hold(directory: Path) -> int | None:
    """A lock that the system lets go when its holder ends; None if another has it."""
    try:
        held = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held


def _sync(path: Path) -> None:
    held = os.open(path, os.O_RDONLY)
    try:
        os.fsync(held)
    finally:
        os.close(held)
