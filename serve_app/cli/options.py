"""What the options of several commands have in common."""

from enum import StrEnum

KEY_VARIABLE = "SERVE_APP_API_KEY"
"""Environment variable that holds the key a command speaks with."""


class Output(StrEnum):
    """Tables for people, or JSON for programs."""

    TEXT = "text"
    JSON = "json"
