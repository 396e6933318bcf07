"""Batches of usage on this machine's disk until control has them: one file a batch.

A gateway's folder is locked while it lives. When it has died, another one takes over what is left.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import orjson

from serve_app.tenancy.usage import Batch, UsageRecord

LOGGER = logging.getLogger("ray.serve")
_LOCK = "lock"


class Spool:
    """One gateway's batches. Blocks on the disk: not for the event loop.

    Args:
        folder: of all gateways of this machine.
        gateway: the one whose batches they are.

    Raises:
        OSError: the disk would not have it.
        BlockingIOError: its gateway lives, and is another process.
    """

    def __init__(self, folder: Path, gateway: str) -> None:
        self.gateway = gateway
        self._folder = folder / gateway
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._lock = os.open(self._folder / _LOCK, os.O_CREAT | os.O_RDWR, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BaseException:
            os.close(self._lock)
            raise

    def write(self, batch: Batch) -> None:
        """Keep a batch; it outlives this process, and the machine's loss of power."""
        path = self._path(batch.number)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(orjson.dumps([asdict(record) for record in batch.records]))
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)

    def batches(self) -> Iterator[Batch]:
        """What there is, in order."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                records = tuple(UsageRecord(**record) for record in orjson.loads(path.read_bytes()))
            except (orjson.JSONDecodeError, TypeError) as error:
                LOGGER.error("usage in %s cannot be read, and is left there: %s", path, error)
                path.rename(path.with_suffix(".unreadable"))
                continue
            yield Batch(self.gateway, int(path.stem), records)

    def remove(self, number: int) -> None:
        """Control has it."""
        self._path(number).unlink()

    def close(self) -> None:
        """Let go of the folder, and of the folder itself if nothing is in it."""
        if [path.name for path in self._folder.iterdir()] == [_LOCK]:
            (self._folder / _LOCK).unlink()
            self._folder.rmdir()
        os.close(self._lock)

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:012}.json"


def orphans(folder: Path, living: str) -> Iterator[Spool]:
    """Spools of gateways that have died, each locked by us now."""
    for path in sorted(folder.iterdir()):
        if path.name == living or not path.is_dir():
            continue
        try:
            yield Spool(folder, path.name)
        except BlockingIOError:
            continue
