"""Speaks with a running application over HTTP, and says in plain words why it cannot."""

import httpx

from serve_app.cli.exits import CONFIG_REFUSED

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
TIMEOUT_S = 10.0


class NoAnswer(Exception):
    """There is nothing to show.

    Attributes:
        exit_code: what the command ends with for it.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


def checked_url(url: str) -> httpx.URL:
    """Where the application answers, without a slash at its end.

    Raises:
        NoAnswer: ``url`` is none.
    """
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        parsed = httpx.URL("")
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise NoAnswer(f"--url must be like http://127.0.0.1:8000, not {url!r}", CONFIG_REFUSED)
    return parsed.copy_with(path=parsed.path.rstrip("/"), query=None)


def connected(
    url: httpx.URL, api_key: str, transport: httpx.BaseTransport | None = None
) -> httpx.Client:
    """A client that speaks with the key. A proxy of the environment is used for other machines
    only.

    Raises:
        NoAnswer: no header can carry the key.
    """
    if not api_key.isascii() or not api_key.isprintable():
        raise NoAnswer("--api-key: a key has printable ASCII characters only", CONFIG_REFUSED)
    return httpx.Client(
        headers={"Authorization": f"Bearer {api_key}"},
        timeout=TIMEOUT_S,
        transport=transport,
        trust_env=url.host not in LOOPBACK,
    )
