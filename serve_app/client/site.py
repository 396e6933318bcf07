"""Where an application answers, and with which key it is asked. Pure."""

from collections.abc import Mapping

from openai import OpenAIError

KEY_VARIABLE = "SERVE_APP_API_KEY"
DEFAULT_URL = "http://127.0.0.1:8000"


def api_url(url: str) -> str:
    """Where the OpenAI API of the application at ``url`` is: ``/v1``, with or without which it may
    be given."""
    root = url.rstrip("/")
    return root if root.endswith("/v1") else f"{root}/v1"


def key_of(given: str | None, environment: Mapping[str, str]) -> str:
    """The key to ask with: the given one, else the environment's ``SERVE_APP_API_KEY``. A key of
    OpenAI's, as the openai package would take one from there, is not for this application.

    Raises:
        OpenAIError: there is neither.
    """
    key = given or environment.get(KEY_VARIABLE)
    if not key:
        raise OpenAIError(f"Give an api_key, or set {KEY_VARIABLE}.")
    return key
