import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from serve_app.adapters.sources import SourceRules, fetch
from serve_app.adapters.sources.buckets import bucket
from serve_app.adapters.sources.fetching import pauses
from serve_app.adapters.sources.folder import Chunks, Folder
from serve_app.adapters.sources.hub import hub
from serve_app.adapters.version import CONFIG_FILE, FILES, WEIGHTS_FILE, digest_of
from serve_app.errors import (
    AdapterRefused,
    AdapterTooLarge,
    ApiError,
    SourceNotAllowed,
    SourceNotFound,
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


def test_two_files_are_taken_of_a_directory_and_nothing_else(root: Path, into: Path) -> None:
    (root / "team" / "acme" / "tokenizer.json").write_text("{}")
    resolved = fetch(str(root / "team" / "acme"), into, SourceRules(roots=(root,)))
    assert resolved == str(root / "team" / "acme")
    assert sorted(path.name for path in into.iterdir()) == sorted(FILES)
    assert digest_of(into) == digest_of(root / "team" / "acme")


def test_progress_is_told_in_bytes_and_never_goes_back(root: Path, into: Path) -> None:
    counts: list[int] = []
    fetch(str(root / "team" / "acme"), into, SourceRules(roots=(root,)), counts.append)
    assert counts == sorted(counts)
    assert counts[-1] == sum(path.stat().st_size for path in into.iterdir())


@pytest.mark.parametrize("source", ["team/acme", "./team/acme", "team/../team/acme"])
def test_a_relative_directory_is_one_of_a_root(root: Path, into: Path, source: str) -> None:
    assert fetch(source, into, SourceRules(roots=(root.parent, root))) == str(root / "team/acme")


def test_a_relative_directory_is_one_of_the_working_directory_too(
    root: Path, into: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root.parent)
    assert fetch("root/team/acme", into, SourceRules(roots=(Path("root"),)))


def test_without_roots_the_setting_is_named(root: Path, into: Path) -> None:
    with pytest.raises(SourceNotAllowed, match=r"registry\.roots"):
        fetch(str(root / "team" / "acme"), into, SourceRules())


ESCAPES = {
    "an absolute path": "{root}/../outside",
    "steps up": "{root}/team/../../outside",
    "steps up from a root": "../outside",
    "a link to a directory": "{root}/team/away",
    "a link on the way": "{root}/team/up/outside",
    "a name that begins like a root's": "{root}-of-others",
    "what does not exist": "{root}/../nowhere",
    "the whole disk": "/",
    "a NUL": "{root}/team\0/acme",
}


@pytest.mark.parametrize("escape", ESCAPES.values(), ids=ESCAPES)
def test_nothing_outside_the_roots_is_read_by(root: Path, into: Path, escape: str) -> None:
    outside = write_adapter(root.parent / "outside")
    write_adapter(root.parent / "root-of-others")
    (root / "team" / "away").symlink_to(outside)
    (root / "team" / "up").symlink_to("../..")
    with pytest.raises(SourceNotAllowed) as refused:
        fetch(escape.format(root=root), into, SourceRules(roots=(root,)))
    assert refused.value.message == "the directory is not under any of registry.roots"
    assert list(into.iterdir()) == []


@pytest.mark.parametrize("source", ["team/nowhere", "~/acme", "team/acme/adapter_config.json"])
def test_a_directory_that_is_not_there_is_not_found(root: Path, into: Path, source: str) -> None:
    with pytest.raises(SourceNotFound):
        fetch(source, into, SourceRules(roots=(root,)))


def test_a_root_may_be_a_link_and_hold_links_to_its_own_directories(root: Path, into: Path) -> None:
    (root.parent / "linked").symlink_to(root)
    (root / "latest").symlink_to("team/acme")
    rules = SourceRules(roots=(root.parent / "linked",))
    assert fetch(str(root.parent / "linked" / "latest"), into, rules)


def test_a_directory_that_becomes_a_link_after_it_was_looked_at_is_not_followed(
    root: Path, into: Path
) -> None:
    outside = write_adapter(root.parent / "outside")

    def swap(_count: int) -> None:
        if not (root / "team").is_symlink():
            (root / "team").rename(root / "moved")
            (root / "team").symlink_to(outside.parent)
            outside.rename(outside.parent / "acme")

    with pytest.raises(SourceNotAllowed, match="changed"):
        fetch(str(root / "team" / "acme"), into, SourceRules(roots=(root,)), _second(swap))


def _second(act: Callable[[int], None]) -> Callable[[int], None]:
    """Act from the second call on: the first comes before the directory is looked at."""
    calls: list[int] = []

    def called(count: int) -> None:
        calls.append(count)
        if len(calls) > 1:
            act(count)

    return called


@pytest.mark.timeout(30)
@pytest.mark.parametrize("name", FILES)
def test_a_pipe_is_refused_and_never_waited_for(root: Path, into: Path, name: str) -> None:
    (root / "team" / "acme" / name).unlink()
    os.mkfifo(root / "team" / "acme" / name)
    with pytest.raises(AdapterRefused, match=name) as refused:
        fetch("team/acme", into, SourceRules(roots=(root,)))
    assert refused.value.code == "adapter_file_not_regular"


def test_no_more_than_the_cap_is_copied(root: Path, into: Path) -> None:
    with pytest.raises(AdapterTooLarge, match=r"registry\.max_bytes"):
        fetch("team/acme", into, SourceRules(roots=(root,), max_bytes=5000))
    assert (into / WEIGHTS_FILE).stat().st_size <= 5000


def test_the_cap_itself_is_still_taken(root: Path, into: Path) -> None:
    size = sum((root / "team" / "acme" / name).stat().st_size for name in FILES)
    assert fetch("team/acme", into, SourceRules(roots=(root,), max_bytes=size))
    with pytest.raises(AdapterTooLarge):
        fetch("team/acme", into, SourceRules(roots=(root,), max_bytes=size - 1))


@pytest.mark.parametrize(
    "source",
    ["ftp://host/a", "file:///etc", "http://example.com/a", "HTTPS://x/a", "memory://a", "://a"],
)
def test_other_schemes_are_not_allowed(root: Path, into: Path, source: str) -> None:
    with pytest.raises(SourceNotAllowed, match=r"registry\.schemes"):
        fetch(source, into, SourceRules(roots=(root,)))


def test_a_scheme_can_be_switched_off(into: Path) -> None:
    with pytest.raises(SourceNotAllowed, match="s3://"):
        fetch("hf://org/name", into, SourceRules(schemes=frozenset({"s3"})))


# What a source does is shown by one that does as it is told.


class Told:
    """A source whose every opening is the next of ``answers``: bytes, or an error."""

    def __init__(self, *answers: bytes | Exception) -> None:
        self.opened: list[str] = []
        self._answers = list(answers)

    def find(self, source: str, _rules: SourceRules) -> Folder:
        return Folder(self._open, resolved=source, exists=False)

    def _open(self, name: str) -> Chunks:
        self.opened.append(name)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        for byte in answer:
            yield bytes([byte])

    def fetch(self, into: Path, **options: object) -> str:
        rules = SourceRules(attempts=3, timeout_s=100)
        return fetch("s3://a/b", into, rules, find={"s3": self.find}, **options)  # type: ignore[arg-type]


AWAY = SourceUnavailable("away")


def test_a_source_that_breaks_off_is_tried_again_after_longer_and_longer_pauses(
    into: Path,
) -> None:
    source, paused = Told(AWAY, b"{}", AWAY, AWAY, b"weights"), list[float]()
    source.fetch(into, pause=paused.append)
    assert source.opened == [CONFIG_FILE] * 2 + [WEIGHTS_FILE] * 3
    assert (into / WEIGHTS_FILE).read_bytes() == b"weights"
    assert 0.25 <= paused[1] <= 0.5 <= paused[2] <= 1


def test_a_source_that_stays_away_is_given_up(into: Path) -> None:
    source = Told(AWAY, AWAY, AWAY)
    with pytest.raises(SourceUnavailable) as refused:
        source.fetch(into, pause=lambda _pause_s: None)
    assert refused.value.status == 503
    assert int(refused.value.headers["Retry-After"]) > 0


@pytest.mark.parametrize("error", [FileNotFoundError(), SourceNotAllowed("no")])
def test_what_another_attempt_cannot_mend_is_not_tried_again(into: Path, error: Exception) -> None:
    source = Told(error)
    with pytest.raises(AdapterRefused):
        source.fetch(into, pause=lambda _pause_s: pytest.fail("it paused"))
    assert source.opened == [CONFIG_FILE]


def test_a_source_that_takes_too_long_is_given_up_and_not_tried_again(into: Path) -> None:
    source, ticks = Told(b"{}" * 100), iter(range(1000))
    with pytest.raises(SourceUnavailable, match="longer than 100 s"):
        source.fetch(into, clock=lambda: float(next(ticks)))
    assert source.opened == [CONFIG_FILE]


def test_what_progress_raises_ends_the_fetch(into: Path) -> None:
    given_up = threading.Event()

    def progress(count: int) -> None:
        if count > 4:
            given_up.set()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch("s3://a/b", into, SourceRules(), progress, find={"s3": Told(b"{}" * 9).find})
    assert given_up.is_set()


def test_a_folder_without_a_config_is_not_found_and_one_without_weights_lacks_a_file(
    into: Path,
) -> None:
    with pytest.raises(SourceNotFound, match=CONFIG_FILE):
        Told(FileNotFoundError()).fetch(into)
    gone = FileNotFoundError()
    with pytest.raises(AdapterRefused, match=WEIGHTS_FILE) as refused:
        Told(b"{}", gone, gone, gone).fetch(into)
    assert refused.value.code == "adapter_file_missing"


def test_pickled_weights_are_named_as_what_they_are(into: Path) -> None:
    with pytest.raises(AdapterRefused, match="safe_serialization") as refused:
        Told(b"{}", FileNotFoundError(), b"pickle").fetch(into)
    assert refused.value.code == "adapter_pickle_unsupported"


def test_pauses_double_up_to_half_a_minute_and_are_never_the_same_for_two() -> None:
    assert pauses(4, lambda: 1.0) == [0.5, 1, 2]
    assert pauses(4, lambda: 0.0) == [0.25, 0.5, 1]
    assert max(pauses(20, lambda: 1.0)) == 30
    assert pauses(1, lambda: 1.0) == []


# Stores and the hub, through file systems in memory.


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
