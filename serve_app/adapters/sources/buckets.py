"""Folders of object stores, through fsspec. The application's own credentials are used."""

from collections.abc import Callable
from functools import partial

import fsspec
from fsspec.spec import AbstractFileSystem

from serve_app.adapters.refusal import FORBIDDEN, refusal
from serve_app.adapters.sources.folder import CHUNK_BYTES, Chunks, Folder
from serve_app.adapters.sources.rules import SourceRules
from serve_app.errors import SourceNotAllowed, SourceUnavailable

_EXTRAS = {"s3": "s3", "gs": "gcs"}


def _store(scheme: str) -> AbstractFileSystem:
    """A store that remembers nothing of an earlier fetch."""
    return fsspec.filesystem(scheme, skip_instance_cache=True, use_listings_cache=False)


def bucket(
    source: str,
    _rules: SourceRules,
    filesystem: Callable[[str], AbstractFileSystem] = _store,
) -> Folder:
    """``s3://bucket/folder`` or ``gs://bucket/folder``.

    Raises:
        SourceNotAllowed: the library for this kind of store is not installed, or no folder named.
    """
    scheme, _, path = source.partition("://")
    path = path.strip("/")
    if not path or any(part in ("", ".", "..") for part in path.split("/")):
        raise SourceNotAllowed(f"name a folder as {scheme}://bucket/folder")
    try:
        store = filesystem(scheme)
    except ImportError:
        raise SourceNotAllowed(
            f"{scheme}:// needs a library that is not installed; install "
            f"serve-app[{_EXTRAS.get(scheme, scheme)}]"
        ) from None
    return Folder(partial(read, store, path), resolved=f"{scheme}://{path}", exists=False)


def read(store: AbstractFileSystem, path: str, name: str) -> Chunks:
    """A file of a folder of any fsspec file system."""
    try:
        with store.open(f"{path}/{name}", "rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk
    except FileNotFoundError:
        raise
    except PermissionError:
        raise refusal(
            FORBIDDEN, "the store refuses to let this application read the source"
        ) from None
    except Exception as error:  # each store has its own errors, of its own library
        raise SourceUnavailable(f"the source did not answer: {type(error).__name__}") from error
