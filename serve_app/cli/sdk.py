"""Speaks with a running application through the SDK, and says in plain words why it cannot."""

from collections.abc import Callable
from typing import Any, TypeVar

import openai

from serve_app.cli import admin
from serve_app.cli.address import LOOPBACK, NoAnswer, checked_url
from serve_app.cli.admin import Json, Show, Site
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, FAILED, REFUSED, UNKNOWN_ANSWER
from serve_app.cli.options import KEY_VARIABLE
from serve_app.client import AsyncLoraClient, LoraClient, UnknownAnswer

CONNECT_S, ANSWER_S, REGISTER_S = 10.0, 600.0, 1800.0
"""How long to wait for a connection, for an answer, and for a registration."""
_SERVER = 500
T = TypeVar("T")


def run(
    site: Site, work: Callable[[LoraClient], Json], show: Show, within_s: float = ANSWER_S
) -> int:
    """Do it and show what came of it; the exit code."""
    return admin.shown(site.output, lambda: asked(site, work, within_s), show)


def asked(site: Site, work: Callable[[LoraClient], T], within_s: float = ANSWER_S) -> T:
    """What comes of asking.

    Raises:
        NoAnswer: nobody answers, the key or what is asked is refused, or something else answers.
    """
    with lora_client(site, within_s) as client:
        try:
            return work(client)
        except openai.OpenAIError as error:
            raise trouble(error, site.url) from None
        except ValueError as error:  # a name that is none
            raise NoAnswer(str(error), CONFIG_REFUSED) from None


def lora_client(site: Site, within_s: float = ANSWER_S) -> LoraClient:
    """A client that asks once. A proxy of the environment is used for other machines only.

    Raises:
        NoAnswer: the URL or the key is none.
    """
    return LoraClient(site.url, **_options(site, within_s, openai.DefaultHttpxClient))


def async_lora_client(site: Site) -> AsyncLoraClient:
    """The same, to be awaited. Raises as ``lora_client``."""
    return AsyncLoraClient(site.url, **_options(site, ANSWER_S, openai.DefaultAsyncHttpxClient))


def trouble(error: openai.OpenAIError, url: str) -> NoAnswer:
    """Why there is nothing to show."""
    if isinstance(error, UnknownAnswer):
        return NoAnswer(
            f"what answers at {url} is no serve_app of this version: is the URL right?",
            UNKNOWN_ANSWER,
        )
    if isinstance(error, openai.APIStatusError):
        return _refusal(error, url)
    if isinstance(error, openai.APIConnectionError):
        why = str(error.__cause__ or error)
        return NoAnswer(
            f"nothing answers at {url} ({why}): start it with `serve-app up CONFIG`, or name "
            "another with --url",
            AWAY,
        )
    return NoAnswer(str(error), FAILED)


def _options(site: Site, within_s: float, http_client: Callable[..., Any]) -> dict[str, Any]:
    url = checked_url(site.url)
    if not site.api_key:
        raise NoAnswer(f"give a key with --api-key, or set {KEY_VARIABLE}", CONFIG_REFUSED)
    if not site.api_key.isascii() or not site.api_key.isprintable():
        raise NoAnswer("--api-key: a key has printable ASCII characters only", CONFIG_REFUSED)
    trust = url.host not in LOOPBACK
    return {
        "api_key": site.api_key,
        "max_retries": 0,
        "timeout": openai.Timeout(within_s, connect=CONNECT_S),
        "http_client": http_client(trust_env=trust, transport=site.transport),
    }


def _refusal(error: openai.APIStatusError, url: str) -> NoAnswer:
    status = error.status_code
    message = error.body.get("message") if isinstance(error.body, dict) else None
    if status >= _SERVER:
        return NoAnswer(f"{url} cannot answer now ({status}): {message or 'try again'}", AWAY)
    if message is None:
        return NoAnswer(
            f"what answers at {url} ({status}) is no serve_app: is the URL right?", UNKNOWN_ANSWER
        )
    if isinstance(error, openai.AuthenticationError | openai.PermissionDeniedError):
        return NoAnswer(f"{url} refused the key: {message}", DENIED)
    return NoAnswer(
        message, CONFIG_REFUSED if isinstance(error, openai.BadRequestError) else REFUSED
    )
