"""Text of models on a terminal. Pure."""

import re

_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    """The text without what would steer the terminal: control characters but tab and newline."""
    return _CONTROLS.sub("�", text)
