"""Folders on the web, over https: no credentials, no proxies, no hosts but public ones.

Redirects are followed one by one, each under the same rules. Answers are taken as they are, never
decompressed.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import httpcore
import httpx

from serve_app.adapters.refusal import FORBIDDEN, refusal
from serve_app.adapters.sources.address import GuardedNetwork
from serve_app.adapters.sources.folder import READ_TIMEOUT_S, Chunks, Folder
from serve_app.adapters.sources.rules import SourceRules
from serve_app.errors import SourceNotAllowed, SourceUnavailable

_MAX_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_GONE = {404, 410}
_FORBIDDEN = {401, 403, 407, 451}
_HEADERS = [("Accept", "*/*"), ("Accept-Encoding", "identity"), ("User-Agent", "serve-app")]
_TIMEOUTS = dict.fromkeys(("connect", "read", "write", "pool"), READ_TIMEOUT_S)


def web(source: str, rules: SourceRules, network: httpcore.NetworkBackend | None = None) -> Folder:
    """``https://host/folder``; a query is sent along for each file.

    Raises:
        SourceNotAllowed: it is not https, or holds credentials.
    """
    _must_be_allowed(source, rules)
    network = network or GuardedNetwork(loopback=rules.loopback)
    return Folder(partial(_read, source, rules, network), resolved=source, exists=False)


def _read(source: str, rules: SourceRules, network: httpcore.NetworkBackend, name: str) -> Chunks:
    try:
        with (
            httpcore.ConnectionPool(httpx.create_ssl_context(), network_backend=network) as pool,
            _answer(pool, _file_url(source, name), rules) as answer,
        ):
            _must_be_good(answer)
            yield from answer.iter_stream()
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
        raise SourceUnavailable(f"the source did not answer: {type(error).__name__}") from error


@contextmanager
def _answer(
    pool: httpcore.ConnectionPool, url: str, rules: SourceRules
) -> Iterator[httpcore.Response]:
    """The answer at ``url``, or where it leads."""
    for _ in range(_MAX_REDIRECTS + 1):
        _must_be_allowed(url, rules)
        with pool.stream("GET", url, headers=_HEADERS, extensions={"timeout": _TIMEOUTS}) as answer:
            if answer.status not in _REDIRECTS:
                yield answer
                return
            url = urljoin(url, _location(answer))
    raise SourceUnavailable(f"the source redirects more than {_MAX_REDIRECTS} times")


def _must_be_good(answer: httpcore.Response) -> None:
    if answer.status in _GONE:
        raise FileNotFoundError
    if answer.status in _FORBIDDEN:
        raise refusal(FORBIDDEN, f"the source's host refuses to give it: {answer.status}")
    if answer.status != 200:
        raise SourceUnavailable(f"the source answered with status {answer.status}")


def _location(answer: httpcore.Response) -> str:
    for name, value in answer.headers:
        if name.lower() == b"location":
            return value.decode("ascii", "replace")
    raise SourceUnavailable("the source redirects to nowhere")


def _must_be_allowed(url: str, rules: SourceRules) -> None:
    parts = _split(url)
    if parts.scheme != "https" and not (rules.loopback and parts.scheme == "http"):
        raise SourceNotAllowed("a folder on the web must be, and stay, at https://")
    if not parts.hostname or parts.username is not None or parts.password is not None:
        raise SourceNotAllowed("name a folder as https://host/folder, without credentials")
    if parts.fragment or not url.isascii() or not url.isprintable():
        raise SourceNotAllowed("the URL has characters that must be percent-encoded")


def _file_url(source: str, name: str) -> str:
    parts = _split(source)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        raise SourceNotAllowed("the source is not a URL") from None
    return parts
