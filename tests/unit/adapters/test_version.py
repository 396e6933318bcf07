from pathlib import Path

import pytest

from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE, Version, digest_of


def _write(folder: Path, config: bytes, weights: bytes) -> Path:
    folder.mkdir()
    (folder / CONFIG_FILE).write_bytes(config)
    (folder / WEIGHTS_FILE).write_bytes(weights)
    return folder


def test_equal_content_has_one_digest_wherever_it_lies(tmp_path: Path) -> None:
    here = _write(tmp_path / "here", b"{}", b"weights")
    there = _write(tmp_path / "there", b"{}", b"weights")
    (there / "README.md").write_text("not part of the adapter")
    assert digest_of(here) == digest_of(there)


@pytest.mark.parametrize(
    ("config", "weights"),
    [(b"{ }", b"weights"), (b"{}", b"weightz"), (b"{}w", b"eights"), (b"", b"{}weights")],
    ids=["another config", "other weights", "a byte moved from one file to the other", "all moved"],
)
def test_any_change_of_content_is_another_digest(
    tmp_path: Path, config: bytes, weights: bytes
) -> None:
    before = _write(tmp_path / "before", b"{}", b"weights")
    after = _write(tmp_path / "after", config, weights)
    assert digest_of(before) != digest_of(after)


def test_files_larger_than_one_read_are_digested_whole(tmp_path: Path) -> None:
    large = b"x" * (3 << 20)
    one = _write(tmp_path / "one", b"{}", large + b"1")
    two = _write(tmp_path / "two", b"{}", large + b"2")
    assert digest_of(one) != digest_of(two)


@pytest.mark.parametrize("missing", [CONFIG_FILE, WEIGHTS_FILE])
def test_a_missing_file_has_no_digest(tmp_path: Path, missing: str) -> None:
    folder = _write(tmp_path / "adapter", b"{}", b"weights")
    (folder / missing).unlink()
    with pytest.raises(FileNotFoundError):
        digest_of(folder)


def test_an_engine_knows_a_version_by_its_adapter_and_its_content() -> None:
    old, new = (Version("acme", 1, digit * 64, rank=8, size_bytes=1) for digit in "ab")
    assert old.name == "acme@aaaaaaaaaaaa"
    assert old.name != new.name
