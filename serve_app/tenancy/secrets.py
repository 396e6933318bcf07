"""What an API key looks like: ``sk-ID-SECRETCHECK``, all letters and digits.

``ID`` is public and names the key. ``SECRET`` is 256 random bits. ``CHECK`` is the CRC32 of all
before it, so that a secret scanner knows a key of ours from a word that looks like one, without
asking anybody; GitHub's tokens are made the same way.
"""

import re
import secrets
import zlib
from collections.abc import Callable
from string import ascii_letters, digits

DIGITS = digits + ascii_letters
ID_CHARS, SECRET_CHARS, CHECK_CHARS = 12, 43, 6
PATTERN = re.compile(
    rf"sk-(?P<id>[0-9A-Za-z]{{{ID_CHARS}}})-[0-9A-Za-z]{{{SECRET_CHARS + CHECK_CHARS}}}"
)
_SECRET_BITS, _ID_BITS = 256, 71
"""62^43 > 2^256 and 62^12 > 2^71: each fits its digits."""


def new_key(random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """A key nobody has had.

    Args:
        random_bits: gives a number of so many random bits.
    """
    id_ = _base62(random_bits(_ID_BITS), ID_CHARS)
    word = f"sk-{id_}-{_base62(random_bits(_SECRET_BITS), SECRET_CHARS)}"
    return word + _check(word)


def key_id(key: str) -> str | None:
    """The public id of a key of this form; None if it is not one, or was mistyped."""
    found = PATTERN.fullmatch(key)
    if found is None or not key.endswith(_check(key[:-CHECK_CHARS])):
        return None
    return found["id"]


def _check(word: str) -> str:
    return _base62(zlib.crc32(word.encode()), CHECK_CHARS)


def _base62(number: int, length: int) -> str:
    places = []
    for _ in range(length):
        number, place = divmod(number, len(DIGITS))
        places.append(DIGITS[place])
    return "".join(reversed(places))
