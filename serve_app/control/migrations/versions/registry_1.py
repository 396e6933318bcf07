"""The registry's first tables."""

import sqlalchemy as sa
from alembic import op

revision = "registry_1"
down_revision = None
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """From nothing."""
    meta = op.create_table(
        "meta",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
    )
    op.bulk_insert(meta, [{"id": 1, "revision": 0}])
    _adapters()
    _versions()
    _names()
    _records()


def _adapters() -> None:
    op.create_table(
        "adapters",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("owner", sa.String(63)),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("preload", sa.Boolean, nullable=False),
        sa.Column("pin", sa.Boolean, nullable=False),
        sa.Column("declared", sa.Boolean, nullable=False),
        sa.Column("stamp", sa.Text),
        sa.Column("terms", sa.Text),
        sa.Column("current", sa.Integer),
        sa.Column("previous", sa.Integer),
        sa.Column("last_number", sa.Integer, nullable=False),
        sa.Column("former", sa.Integer, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("removed", sa.BigInteger),
    )


def _versions() -> None:
    op.create_table(
        "versions",
        sa.Column("adapter", sa.String(63), sa.ForeignKey("adapters.name"), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("rank", sa.Integer, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("created_by", sa.String(63), nullable=False),
        sa.Column("retired", sa.BigInteger),
        sa.Column("gone", sa.BigInteger),
        sa.PrimaryKeyConstraint("adapter", "number"),
        sa.UniqueConstraint("adapter", "digest"),
    )


def _names() -> None:
    op.create_table(
        "grants",
        sa.Column("adapter", sa.String(63), sa.ForeignKey("adapters.name"), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.PrimaryKeyConstraint("adapter", "tenant"),
    )
    op.create_table(
        "aliases",
        sa.Column("alias", sa.String(63), primary_key=True),
        sa.Column("adapter", sa.String(63), nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),
    )


def _records() -> None:
    op.create_table(
        "registrations",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("adapter", sa.String(63), sa.ForeignKey("adapters.name"), nullable=False),
        sa.Column("request", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("code", sa.String(63)),
        sa.Column("message", sa.Text),
        sa.Column("number", sa.Integer),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.BigInteger),
    )
    op.create_index("registrations_by_adapter", "registrations", ["adapter"])
    op.create_table(
        "audit",
        sa.Column("id", _COUNTER, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("actor", sa.String(63), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(127), nullable=False),
        sa.Column("owner", sa.String(63)),
        sa.Column("detail", sa.JSON, nullable=False),
    )
    op.create_index("audit_by_owner", "audit", ["owner", "id"])
