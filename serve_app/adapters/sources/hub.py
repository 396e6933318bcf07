"""Repositories of the Hugging Face hub, each read at one commit. Its own token is used, if any."""

import re
from collections.abc import Callable
from functools import partial
from typing import Protocol

import httpx
from fsspec.spec import AbstractFileSystem
from huggingface_hub import HfApi, HfFileSystem
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from serve_app.adapters.refusal import FORBIDDEN, refusal
from serve_app.adapters.sources import buckets
from serve_app.adapters.sources.folder import READ_TIMEOUT_S, Folder
from serve_app.adapters.sources.rules import SourceRules
from serve_app.errors import SourceNotAllowed, SourceNotFound, SourceUnavailable

_SOURCE = re.compile(
    r"hf://(?P<repo>[\w.-]{1,96}/[\w.-]{1,96})(@(?P<revision>[\w./-]{1,128}))?", re.ASCII
)
_OTHER_KINDS = ("datasets/", "spaces/", "buckets/", "kernels/", "models/")


class Commit(Protocol):
    """Says at which commit a repository's revision is."""

    def __call__(self, repo: str, revision: str | None) -> str | None: ...


def _commit(repo: str, revision: str | None) -> str | None:
    return HfApi().model_info(repo, revision=revision, timeout=READ_TIMEOUT_S).sha


def _files() -> AbstractFileSystem:
    """A file system that streams, and remembers nothing of an earlier fetch."""
    return HfFileSystem(skip_instance_cache=True, block_size=0)


def hub(
    source: str,
    _rules: SourceRules,
    commit: Commit = _commit,
    filesystem: Callable[[], AbstractFileSystem] = _files,
) -> Folder:
    """``hf://org/name`` or ``hf://org/name@revision``; both files are of the same commit.

    Raises:
        SourceNotAllowed: it is no such address.
        SourceNotFound: there is no such repository or revision, or it is not for us.
        SourceUnavailable: the hub does not answer.
    """
    named = _SOURCE.fullmatch(source)
    if named is None or named["repo"].startswith(_OTHER_KINDS):
        raise SourceNotAllowed("name a model of the hub as hf://org/name or hf://org/name@revision")
    at = f"{named['repo']}@{_resolve(named['repo'], named['revision'], commit)}"
    return Folder(partial(buckets.read, filesystem(), at), resolved=f"hf://{at}", exists=True)


def _resolve(repo: str, revision: str | None, commit: Commit) -> str:
    try:
        found = commit(repo, revision)
    except GatedRepoError:
        raise refusal(
            FORBIDDEN, f"{repo} is gated; this application's HF_TOKEN may not read it"
        ) from None
    except (RepositoryNotFoundError, RevisionNotFoundError):
        raise SourceNotFound(
            f"the hub has no {repo}, or not this revision, or it is private"
        ) from None
    except (HfHubHTTPError, httpx.HTTPError, OSError) as error:
        raise SourceUnavailable(f"the hub did not answer: {type(error).__name__}") from error
    if not found:
        raise SourceUnavailable(f"the hub named no commit of {repo}")
    return found
