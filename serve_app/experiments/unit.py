"""What is assigned to arms: a user if the request names one, else a conversation. Pure."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

import orjson

HEADER = "x-serve-unit"
"""Names a unit before anything in the body does."""
USERS = ("user", "safety_identifier")
"""OpenAI's fields for who asks; the second took the first one's place."""
MAX_CHARS = 512
_BYTES = 8


def unit_of(header: str | None, body: Mapping[str, Any], request_id: str) -> str:
    """What a request is assigned by.

    A conversation is told by how it begins: its instructions and the first thing a user says,
    which later turns repeat. A request that has no such beginning, or one that is nested too deeply
    to be told, is a unit of its own.

    Args:
        header: the value of ``HEADER``, if the request has one.
        body: an OpenAI request.
    """
    if header:
        return "h" + header[:MAX_CHARS]
    for field in USERS:
        user = body.get(field)
        if isinstance(user, str) and user:
            return "u" + user[:MAX_CHARS]
    beginning = _beginning(body)
    return "r" + request_id if beginning is None else "c" + _digest(beginning)


def hidden(salt: str, tenant: str, unit: str) -> str:
    """A unit as it is assigned and recorded: 16 hex digits that tell nobody who it is."""
    return _digest(f"{tenant}\0{unit}".encode("utf-8", "surrogatepass"), salt.encode())


def _beginning(body: Mapping[str, Any]) -> bytes | None:
    instructions = body.get("instructions")
    for field in ("messages", "input", "prompt"):
        said = body.get(field)
        if said:
            try:
                return orjson.dumps([instructions, _first_turn(said)])
            except orjson.JSONEncodeError:
                return None
    return None


def _first_turn(said: Any) -> Any:
    """All up to the first thing a user says."""
    if not isinstance(said, list) or not isinstance(said[0], dict):
        return said
    for place, message in enumerate(said):
        if isinstance(message, dict) and message.get("role") == "user":
            return said[: place + 1]
    return said


def _digest(told: bytes, key: bytes = b"") -> str:
    return blake2b(told, digest_size=_BYTES, key=key[:64]).hexdigest()
