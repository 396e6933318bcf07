import os
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.adapters.sources import SourceRules, fetch
from serve_app.adapters.version import FILES, WEIGHTS_FILE, digest_of
from serve_app.errors import (
    AdapterRefused,
    AdapterTooLarge,
    SourceNotAllowed,
    SourceNotFound,
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
    assert refused.value.message.startswith("the directory is not under any of registry.roots")
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
