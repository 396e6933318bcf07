"""Directories of this machine, under configured roots and nowhere else."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from serve_app.adapters.refusal import FORBIDDEN, refusal
from serve_app.adapters.regular_file import regular_file
from serve_app.adapters.sources.folder import CHUNK_BYTES, Chunks, Folder
from serve_app.adapters.sources.rules import SourceRules
from serve_app.errors import SourceNotAllowed, SourceNotFound

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def local(source: str, rules: SourceRules) -> Folder:
    """The directory ``source``: absolute, or relative to the working directory or to a root.

    What is outside the roots is refused in the same way whether it exists or not.

    Raises:
        SourceNotAllowed: it is not under a root.
        SourceNotFound: there is no such directory.
    """
    if not rules.roots:
        raise SourceNotAllowed(
            "directories are no sources here: no registry.roots, nor registry.tenant_sources for "
            "a tenant, are configured, under which they would have to be"
        )
    found = [place for place in _places(source, rules) if os.path.isdir(place.path)]  # noqa: PTH112 - never raises
    if not found:
        raise SourceNotFound("there is no such directory under registry.roots")
    return Folder(partial(_read, found[0]), resolved=str(found[0].path), exists=True)


class _Place:
    """A path without links, and the root it is under."""

    def __init__(self, root: Path, path: Path) -> None:
        self.root = root
        self.path = path


def _places(source: str, rules: SourceRules) -> list[_Place]:
    roots = [Path(os.path.realpath(root)) for root in rules.roots]
    try:
        paths = [Path(os.path.realpath(start / source)) for start in (Path.cwd(), *roots)]
    except ValueError:  # a NUL
        paths = []
    places = [_Place(root, path) for path in paths for root in roots if path.is_relative_to(root)]
    if not places:
        raise SourceNotAllowed(
            "the directory is not under any of registry.roots, or, for a tenant's key, of "
            "registry.tenant_sources"
        )
    return places


def _read(place: _Place, name: str) -> Chunks:
    with _held(place) as directory, regular_file(name, directory) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk


@contextmanager
def _held(place: _Place) -> Iterator[int]:
    """The directory, opened from its root down, so that no link put there since can lead away."""
    held = os.open(place.root, _DIRECTORY)
    try:
        for part in place.path.relative_to(place.root).parts:
            above, held = held, os.open(part, _DIRECTORY, dir_fd=held)
            os.close(above)
        yield held
    except PermissionError:
        raise refusal(FORBIDDEN, "this application may not read the directory") from None
    except NotADirectoryError:
        raise SourceNotAllowed("the directory changed while it was read") from None
    finally:
        os.close(held)
