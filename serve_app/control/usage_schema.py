"""Tables of what requests have used, the same on SQLite and Postgres. The migrations make them."""

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, String, Table

from serve_app.control.schema import COUNTER, METADATA

WHO = ("tenant", "key", "adapter", "version", "arm", "outcome")
TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")
SUMS = ("requests", *TOKENS, "first_tokens", "first_token_s", "duration_s")
_WIDTHS = {"tenant": 63, "key": 32, "adapter": 63, "arm": 127, "outcome": 63}


def _who(*, key: bool) -> list[Column[object]]:
    kinds = {name: String(width) for name, width in _WIDTHS.items()}
    return [
        Column(name, kinds.get(name, Integer()), nullable=False, primary_key=key) for name in WHO
    ]


def _tokens() -> list[Column[object]]:
    return [Column(name, BigInteger, nullable=False) for name in TOKENS]


requests = Table(
    "usage",
    METADATA,
    Column("id", COUNTER, primary_key=True),
    Column("request_id", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("operation", String(32), nullable=False),
    *_who(key=False),
    *_tokens(),
    Column("first_token_s", Float),
    Column("duration_s", Float, nullable=False),
    Column("experiment", String(32), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("finish", String(32), nullable=False),
    Column("streamed", Boolean, nullable=False),
    Column("failed", Boolean, nullable=False),
    Index("usage_by_time", "at"),
    Index("usage_by_request", "request_id"),
)

hours = Table(
    "usage_hours",
    METADATA,
    Column("hour", BigInteger, primary_key=True, autoincrement=False),
    *_who(key=True),
    *_tokens(),
    Column("requests", BigInteger, nullable=False),
    Column("first_tokens", BigInteger, nullable=False),
    Column("first_token_s", Float, nullable=False),
    Column("duration_s", Float, nullable=False),
)

batches = Table(
    "usage_batches",
    METADATA,
    Column("gateway", String(32), primary_key=True),
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
)
