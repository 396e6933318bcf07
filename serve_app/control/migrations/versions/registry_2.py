"""Tenants and keys that were made while it runs."""

import sqlalchemy as sa
from alembic import op

revision = "registry_2"
down_revision = "registry_1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """From ``registry_1``."""
    op.create_table(
        "tenants",
        sa.Column("id", sa.String(63), primary_key=True),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("adapters", sa.JSON, nullable=False),
        sa.Column("default_adapter", sa.String(63)),
        sa.Column("base", sa.Boolean, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("weight", sa.Float, nullable=False),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "keys",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("fingerprint", sa.String(64), nullable=False, unique=True),
        sa.Column("label", sa.String(255), nullable=False),
        sa.Column("scopes", sa.JSON, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("limits", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(63), nullable=False),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("rotated_from", sa.String(32)),
        sa.Column("last_used", sa.BigInteger),
    )
    op.create_index("keys_by_tenant", "keys", ["tenant"])
