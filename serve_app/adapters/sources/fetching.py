"""Copies an adapter's two files out of a source: capped, timed, retried, and ended on request."""

import random
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TypeVar

from serve_app.adapters.lora_config import MAX_CONFIG_BYTES
from serve_app.adapters.refusal import FILE_TOO_LARGE, PICKLED_FILES, missing, pickled, refusal
from serve_app.adapters.sources.buckets import bucket
from serve_app.adapters.sources.folder import Folder
from serve_app.adapters.sources.hub import hub
from serve_app.adapters.sources.local import local
from serve_app.adapters.sources.rules import SourceRules
from serve_app.adapters.sources.web import web
from serve_app.adapters.version import CONFIG_FILE, FILES, WEIGHTS_FILE
from serve_app.errors import (
    AdapterRefused,
    AdapterTooLarge,
    ApiError,
    SourceNotAllowed,
    SourceNotFound,
    SourceUnavailable,
)

FIND: Mapping[str, Callable[[str, SourceRules], Folder]] = {
    "s3": bucket,
    "gs": bucket,
    "hf": hub,
    "https": web,
}
"""How the folder of a URL is found, by its scheme."""

T = TypeVar("T")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0


def fetch(
    source: str,
    into: Path,
    rules: SourceRules,
    progress: Callable[[int], None] = lambda _count: None,
    *,
    pause: Callable[[float], object] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
    find: Mapping[str, Callable[[str, SourceRules], Folder]] = FIND,
) -> str:
    """Copy ``adapter_config.json`` and ``adapter_model.safetensors`` from ``source`` to ``into``.

    Args:
        source: a directory; or ``s3://bucket/folder``, ``gs://bucket/folder``,
            ``hf://org/name[@revision]``, ``https://host/folder``.
        progress: told between chunks how many bytes there are; what it raises ends the fetch.

    Returns:
        The source as it was found, a hub's revision as a commit.

    Raises:
        AdapterRefused: with a code per reason, ``SourceNotAllowed``, ``SourceNotFound`` and
            ``AdapterTooLarge`` among them.
        SourceUnavailable: it did not answer, or not in time.
    """
    copying = _Copying(into, rules, progress, pause, clock)
    folder = copying.patiently(lambda: _find(source, rules, find))
    for name in FILES:
        copying.copy(folder, name)
    return folder.resolved


def _find(
    source: str, rules: SourceRules, find: Mapping[str, Callable[[str, SourceRules], Folder]]
) -> Folder:
    scheme, separator, _rest = source.partition("://")
    if not separator:
        return local(source, rules)
    if scheme == "http" and rules.loopback:
        return web(source, rules)
    if scheme not in rules.schemes or scheme not in find:
        allowed = ", ".join(f"{known}://" for known in sorted(rules.schemes)) or "none"
        raise SourceNotAllowed(
            f"sources of this kind are not allowed; allowed are directories under registry.roots, "
            f"and by registry.schemes {allowed}"
        )
    if not rules.may_begin(source):
        raise SourceNotAllowed("the source is not under any of registry.tenant_sources")
    return find[scheme](source, rules)


class SourceTooSlow(SourceUnavailable):
    """The time for the whole fetch is over: it is not tried again."""


class _Copying:
    """One fetch under way: what is left of its time and of its bytes."""

    def __init__(
        self,
        into: Path,
        rules: SourceRules,
        progress: Callable[[int], None],
        pause: Callable[[float], object],
        clock: Callable[[], float],
    ) -> None:
        self._into = into
        self._rules = rules
        self._progress = progress
        self._pause = pause
        self._clock = clock
        self._deadline = clock() + rules.timeout_s
        self._copied = 0

    def copy(self, folder: Folder, name: str) -> None:
        """One file, from its begin again if a remote source breaks off."""

        def attempt() -> int:
            return self._attempt(folder, name)

        self._copied += self.patiently(attempt)

    def patiently(self, attempt: Callable[[], T]) -> T:
        """What ``attempt`` returns, tried as often as the rules allow."""
        for pause_s in pauses(self._rules.attempts, random.random):
            self._must_go_on(0)
            try:
                return attempt()
            except SourceTooSlow:
                raise
            except SourceUnavailable:
                self._pause(pause_s)
        self._must_go_on(0)
        return attempt()

    def _attempt(self, folder: Folder, name: str) -> int:
        target, copied = self._into / name, 0
        target.unlink(missing_ok=True)
        with target.open("xb") as file, closing(folder.open(name)) as chunks:
            try:
                for chunk in chunks:
                    copied += len(chunk)
                    self._must_fit(name, copied)
                    self._must_go_on(copied)
                    file.write(chunk)
            except FileNotFoundError:
                raise _missing(folder, name) from None
        return copied

    def _must_go_on(self, copied: int) -> None:
        self._progress(self._copied + copied)
        if self._clock() > self._deadline:
            raise SourceTooSlow(f"the source took longer than {self._rules.timeout_s:g} s")

    def _must_fit(self, name: str, copied: int) -> None:
        if name == CONFIG_FILE and copied > MAX_CONFIG_BYTES:
            raise refusal(FILE_TOO_LARGE, f"{name} is larger than {MAX_CONFIG_BYTES} bytes")
        if self._copied + copied > self._rules.max_bytes:
            raise AdapterTooLarge(
                f"the adapter is larger than {self._rules.max_bytes} bytes (registry.max_bytes)"
            )


def pauses(attempts: int, chance: Callable[[], float]) -> list[float]:
    """Seconds between attempts: doubled each time, and drawn from the upper half."""
    longest = (min(_FIRST_PAUSE_S * 2**n, _LONGEST_PAUSE_S) for n in range(attempts - 1))
    return [pause_s * (1 + chance()) / 2 for pause_s in longest]


def _missing(folder: Folder, name: str) -> AdapterRefused:
    if not folder.exists and name == CONFIG_FILE:
        return SourceNotFound(f"there is no {name} where the source points to")
    for other in PICKLED_FILES if name == WEIGHTS_FILE else ():
        if _is_there(folder, other):
            return pickled(other)
    return missing(name)


def _is_there(folder: Folder, name: str) -> bool:
    try:
        with closing(folder.open(name)) as chunks:
            next(chunks, None)
    except (FileNotFoundError, ApiError):
        return False
    return True
