from functools import partial
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from serve_app.adapters.sources import SourceRules, fetch
from serve_app.adapters.sources.buckets import bucket
from serve_app.adapters.sources.hub import hub
from serve_app.adapters.version import FILES, digest_of
from serve_app.errors import (
    ApiError,
    SourceNotAllowed,
    SourceUnavailable,
)
from tests.small_models import write_adapter


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A root with one good adapter, ``root/team/acme``."""
    write_adapter(tmp_path / "root" / "team" / "acme")
    return tmp_path / "root"


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.fixture
def memory(root: Path) -> MemoryFileSystem:
    """A store that holds the good adapter at ``shelf/acme``."""
    store = MemoryFileSystem(skip_instance_cache=True)
    store.store = {}
    store.pseudo_dirs = [""]
    for name in FILES:
        store.pipe_file(f"shelf/acme/{name}", (root / "team" / "acme" / name).read_bytes())
    return store


@pytest.mark.parametrize("source", ["s3://shelf/acme", "s3://shelf/acme/"])
def test_a_folder_of_a_store_is_fetched(
    memory: MemoryFileSystem, root: Path, into: Path, source: str
) -> None:
    find = {"s3": partial(bucket, filesystem=lambda _scheme: memory)}
    assert fetch(source, into, SourceRules(), find=find) == "s3://shelf/acme"
    assert digest_of(into) == digest_of(root / "team" / "acme")


@pytest.mark.parametrize("source", ["s3://", "s3:///", "s3://shelf/../other", "s3://shelf//acme"])
def test_what_names_no_folder_of_a_store_is_refused(into: Path, source: str) -> None:
    with pytest.raises(SourceNotAllowed, match="s3://bucket/folder"):
        fetch(source, into, SourceRules())


def test_a_store_whose_library_is_missing_names_the_extra_to_install(into: Path) -> None:
    def missing(_scheme: str) -> MemoryFileSystem:
        raise ImportError("no module named gcsfs")

    with pytest.raises(SourceNotAllowed, match=r"serve-app\[gcs\]"):
        fetch("gs://a/b", into, SourceRules(), find={"gs": partial(bucket, filesystem=missing)})


class Failing(MemoryFileSystem):  # type: ignore[misc]
    """A store that always fails in the same way."""

    def __init__(self, error: Exception) -> None:
        super().__init__(skip_instance_cache=True)
        self._error = error

    def open(self, *_args: object, **_options: object) -> None:
        raise self._error


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (PermissionError("s3 secrets"), "source_forbidden"),
        (FileNotFoundError("s3 secrets"), "source_not_found"),
        (OSError("s3 secrets"), "source_unavailable"),
        (RuntimeError("s3 secrets"), "source_unavailable"),
    ],
)
def test_a_stores_own_errors_are_told_apart_and_not_repeated(
    into: Path, error: Exception, code: str
) -> None:
    find = {"s3": partial(bucket, filesystem=lambda _scheme: Failing(error))}
    with pytest.raises(ApiError) as refused:
        fetch("s3://a/b", into, SourceRules(attempts=1), find=find)
    assert refused.value.code == code
    assert "secrets" not in refused.value.message


COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_both_files_of_a_repository_are_of_the_commit_that_the_revision_was(
    memory: MemoryFileSystem, root: Path, into: Path
) -> None:
    for name in FILES:
        memory.mv(f"shelf/acme/{name}", f"org/name@{COMMIT}/{name}")
    asked = []

    def commit(repo: str, revision: str | None) -> str:
        asked.append((repo, revision))
        return COMMIT

    find = {"hf": partial(hub, commit=commit, filesystem=lambda: memory)}
    resolved = fetch("hf://org/name@v1.0", into, SourceRules(), find=find)
    assert resolved == f"hf://org/name@{COMMIT}"
    assert asked == [("org/name", "v1.0")]
    assert digest_of(into) == digest_of(root / "team" / "acme")


@pytest.mark.parametrize(
    "source",
    ["hf://name", "hf://org/name/file", "hf://datasets/name", "hf://org/name@", "hf://o/n@a b"],
)
def test_what_names_no_model_of_the_hub_is_refused(into: Path, source: str) -> None:
    with pytest.raises(SourceNotAllowed, match="hf://org/name"):
        fetch(source, into, SourceRules())


def test_a_hub_that_does_not_answer_is_tried_again(into: Path) -> None:
    calls = []

    def commit(repo: str, revision: str | None) -> str:
        calls.append(repo)
        raise ConnectionError

    with pytest.raises(SourceUnavailable):
        fetch(
            "hf://org/name",
            into,
            SourceRules(attempts=3),
            pause=lambda _pause_s: None,
            find={"hf": partial(hub, commit=commit)},
        )
    assert len(calls) == 3
