import threading
from pathlib import Path

import pytest

from serve_app.adapters.sources import SourceRules, fetch
from serve_app.adapters.sources.fetching import pauses
from serve_app.adapters.sources.folder import Chunks, Folder
from serve_app.adapters.version import CONFIG_FILE, WEIGHTS_FILE
from serve_app.errors import (
    AdapterRefused,
    ApiError,
    SourceNotAllowed,
    SourceNotFound,
    SourceUnavailable,
)


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.mark.parametrize(
    "source",
    [
        *("ftp://host/a", "file:///etc", "http://example.com/a", "HTTPS://x/a", "memory://a"),
        *("://a", "://", "http://[x", "http://a b"),
    ],
)
def test_other_schemes_are_not_allowed(into: Path, source: str) -> None:
    with pytest.raises(SourceNotAllowed, match=r"registry\.schemes"):
        fetch(source, into, SourceRules())


@pytest.mark.parametrize("source", ["s3://", "gs://", "hf://", "https://[::1", "\n", "/\x7f"])
def test_a_source_that_names_nothing_is_the_callers_fault(into: Path, source: str) -> None:
    with pytest.raises(ApiError) as refused:
        fetch(source, into, SourceRules())
    assert 400 <= refused.value.status < 500


def test_a_scheme_can_be_switched_off(into: Path) -> None:
    with pytest.raises(SourceNotAllowed, match="s3://"):
        fetch("hf://org/name", into, SourceRules(schemes=frozenset({"s3"})))


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


UNDER = SourceRules(prefixes=("s3://shelf/acme/", "hf://acme/"))
BEGINS = {
    "s3://shelf/acme/finance": True,
    "hf://acme/finance@main": True,
    "s3://shelf/acme": False,
    "s3://shelf/acmeother/finance": False,
    "s3://shelf/acme/../other/finance": False,
    "s3://shelf/acme/%2e%2E/other": False,
    "s3://shelf/acme/..\\other": False,
    "S3://shelf/acme/finance": False,
    "https://s3://shelf/acme/": False,
}


@pytest.mark.parametrize(("url", "allowed"), BEGINS.items())
def test_a_url_must_begin_as_it_may(url: str, allowed: bool) -> None:
    assert UNDER.may_begin(url) is allowed


def test_a_url_that_begins_otherwise_is_not_looked_at(into: Path) -> None:
    with pytest.raises(SourceNotAllowed, match="tenant_sources"):
        fetch("s3://shelf/other", into, UNDER)
