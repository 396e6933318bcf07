import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpcore
import pytest

from serve_app.adapters.sources import SourceRules, fetch
from serve_app.adapters.sources.address import GuardedNetwork, is_public
from serve_app.adapters.sources.web import web
from serve_app.adapters.version import FILES, digest_of
from serve_app.errors import ApiError, SourceNotAllowed, SourceUnavailable
from tests.small_models import write_adapter
from tests.web_folder import WebFolder, web_folder

RULES = SourceRules(loopback=True, attempts=2, timeout_s=60)


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_adapter(tmp_path / "good")


@pytest.fixture
def into(tmp_path: Path) -> Path:
    (tmp_path / "into").mkdir()
    return tmp_path / "into"


@pytest.fixture
async def folder(good: Path) -> AsyncIterator[WebFolder]:
    async with web_folder(good) as served:
        yield served


async def _fetch(source: str, into: Path, rules: SourceRules = RULES) -> str:
    return await asyncio.to_thread(fetch, source, into, rules, pause=lambda _pause_s: None)


@pytest.mark.parametrize("end", ["", "/"])
async def test_a_folder_on_the_web_is_fetched(
    folder: WebFolder, good: Path, into: Path, end: str
) -> None:
    assert await _fetch(folder.url + end, into) == folder.url + end
    assert digest_of(into) == digest_of(good)
    assert folder.asked == [f"/adapters/acme/{name}" for name in FILES]


async def test_a_query_is_sent_along_with_each_file(folder: WebFolder, into: Path) -> None:
    await _fetch(f"{folder.url}?signature=a%2Fb", into)
    assert folder.asked == [f"/adapters/acme/{name}?signature=a%2Fb" for name in FILES]


async def test_a_redirect_is_followed(folder: WebFolder, good: Path, into: Path) -> None:
    folder.redirects = [f"/mirror/{FILES[0]}"]
    await _fetch(folder.url, into)
    assert folder.asked[:2] == [f"/adapters/acme/{FILES[0]}", f"/mirror/{FILES[0]}"]
    assert digest_of(into) == digest_of(good)


@pytest.mark.parametrize(
    "target",
    ["file:///etc/passwd", "ftp://example.com/", "https://user:secret@example.com/", "gopher:x"],
)
async def test_a_redirect_does_not_lead_to_what_is_not_allowed(
    folder: WebFolder, into: Path, target: str
) -> None:
    folder.redirects = [target]
    with pytest.raises(SourceNotAllowed):
        await _fetch(folder.url, into)


async def test_a_redirect_does_not_lead_to_a_private_host(folder: WebFolder, into: Path) -> None:
    folder.redirects = ["https://169.254.169.254/latest/meta-data/"]
    with pytest.raises(SourceNotAllowed, match="open internet"):
        await _fetch(folder.url, into)


async def test_a_ring_of_redirects_ends(folder: WebFolder, into: Path) -> None:
    folder.redirects = ["/again"] * 100
    with pytest.raises(SourceUnavailable, match="redirects"):
        await _fetch(folder.url, into, SourceRules(loopback=True, attempts=1))
    assert len(folder.asked) == 6


@pytest.mark.parametrize("status", [500, 502, 503, 429, 206])
async def test_an_answer_that_may_be_mended_is_asked_for_again(
    folder: WebFolder, good: Path, into: Path, status: int
) -> None:
    folder.failures = [status]
    await _fetch(folder.url, into)
    assert digest_of(into) == digest_of(good)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (404, "source_not_found"),
        (410, "source_not_found"),
        (401, "source_forbidden"),
        (403, "source_forbidden"),
    ],
)
async def test_a_clear_no_is_not_asked_for_again(
    folder: WebFolder, into: Path, status: int, code: str
) -> None:
    folder.failures = [status]
    with pytest.raises(ApiError) as refused:
        await _fetch(folder.url, into)
    assert refused.value.code == code
    assert len(folder.asked) == 1


async def test_an_answer_that_breaks_off_is_fetched_again_whole(
    folder: WebFolder, good: Path, into: Path
) -> None:
    folder.breaks = 1
    await _fetch(folder.url, into)
    assert digest_of(into) == digest_of(good)


async def test_a_server_that_is_not_there_does_not_answer(into: Path, unused_port: int) -> None:
    with pytest.raises(SourceUnavailable):
        await _fetch(f"http://127.0.0.1:{unused_port}/a", into)


@pytest.fixture
def unused_port() -> int:
    import socket

    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.mark.parametrize(
    "url",
    [
        "https://user@example.com/a",
        "https://user:secret@example.com/a",
        "https:///a",
        "https://",
        "https://example.com/a#part",
        "https://example.com:port/a",
        "https://[::1/a",
        "https://example.com/a\r\nHost: other",
        "https://ex\u0430mple.com/a",
    ],
)
def test_a_url_that_could_mean_something_else_is_refused(into: Path, url: str) -> None:
    with pytest.raises(SourceNotAllowed) as refused:
        fetch(url, into, SourceRules())
    assert "secret" not in refused.value.message


INWARD = [
    "https://127.0.0.1/a",
    "https://localhost/a",
    "https://[::1]/a",
    "https://[::ffff:127.0.0.1]/a",
    "https://10.0.0.8/a",
    "https://192.168.1.1/a",
    "https://169.254.169.254/a",
    "https://0.0.0.0/a",
    "https://[fe80::1]/a",
    "https://[fd00::1]/a",
    "https://2130706433/a",
    "https://0x7f.1/a",
]


@pytest.mark.parametrize("url", INWARD)
def test_a_source_never_leads_inward(into: Path, url: str) -> None:
    with pytest.raises(SourceNotAllowed, match="open internet"):
        fetch(url, into, SourceRules(attempts=1))


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("8.8.8.8", True),
        ("2606:4700::1111", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.0.1", False),
        ("100.64.0.1", False),
        ("169.254.169.254", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::", False),
        ("::1", False),
        ("::ffff:10.0.0.1", False),
        ("::ffff:8.8.8.8", True),
        ("64:ff9b::a9fe:a9fe", False),
        ("2002:7f00:1::", False),
        ("fe80::1%eth0", False),
        ("fc00::1", False),
        ("ff02::1", False),
        ("not an address", False),
    ],
)
def test_only_addresses_of_the_open_internet_are_public(address: str, public: bool) -> None:
    assert is_public(address) is public


def test_a_name_with_one_private_address_is_refused_and_looked_up_once(into: Path) -> None:
    looked_up = []

    def lookup(host: str, port: int) -> list[str]:
        looked_up.append((host, port))
        return ["8.8.8.8", "10.0.0.1"]

    found = web("https://example.com/a", SourceRules(), GuardedNetwork(lookup=lookup))
    with pytest.raises(SourceNotAllowed):
        next(found.open(FILES[0]))
    assert looked_up == [("example.com", 443)]


def test_a_name_nobody_knows_does_not_answer() -> None:
    def lookup(host: str, port: int) -> list[str]:
        raise httpcore.ConnectError("no such name")

    found = web("https://nowhere.invalid/a", SourceRules(), GuardedNetwork(lookup=lookup))
    with pytest.raises(SourceUnavailable):
        next(found.open(FILES[0]))
