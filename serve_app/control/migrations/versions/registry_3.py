"""What requests have used."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "registry_3"
down_revision = "registry_2"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_WHO = (
    ("tenant", sa.String(63)),
    ("key", sa.String(32)),
    ("adapter", sa.String(63)),
    ("version", sa.Integer),
    ("arm", sa.String(63)),
    ("outcome", sa.String(63)),
)
_TOKENS = ("prompt_tokens", "cached_tokens", "completion_tokens")


def _columns(*, key: bool) -> list[sa.Column[Any]]:
    who: list[sa.Column[Any]] = [
        sa.Column(name, kind, nullable=False, primary_key=key) for name, kind in _WHO
    ]
    return who + [sa.Column(name, sa.BigInteger, nullable=False) for name in _TOKENS]


def upgrade() -> None:
    """From ``registry_2``."""
    op.create_table(
        "usage",
        sa.Column("id", _COUNTER, primary_key=True),
        sa.Column("request_id", sa.String(64), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        *_columns(key=False),
        sa.Column("first_token_s", sa.Float),
        sa.Column("duration_s", sa.Float, nullable=False),
    )
    op.create_index("usage_by_time", "usage", ["at"])
    op.create_table(
        "usage_hours",
        sa.Column("hour", sa.BigInteger, primary_key=True, autoincrement=False),
        *_columns(key=True),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.Column("first_tokens", sa.BigInteger, nullable=False),
        sa.Column("first_token_s", sa.Float, nullable=False),
        sa.Column("duration_s", sa.Float, nullable=False),
    )
    op.create_table(
        "usage_batches",
        sa.Column("gateway", sa.String(32), primary_key=True),
        sa.Column("number", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
