"""Experiments, what is observed of their arms, and feedback."""

import sqlalchemy as sa
from alembic import op

revision = "registry_4"
down_revision = "registry_3"
branch_labels = None
depends_on = None

_COUNTER = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_COUNTS = ("requests", "errors", "first_tokens", "answers", "scores")
_TOTALS = ("first_token_s", "tokens_per_s", "completion_tokens", "score")


def upgrade() -> None:
    """From ``registry_3``."""
    _experiments()
    _observations()
    _usage()


def _experiments() -> None:
    op.create_table(
        "experiments",
        sa.Column("name", sa.String(63), primary_key=True),
        sa.Column("salt", sa.String(32), nullable=False, unique=True),
        sa.Column("owner", sa.String(63), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("arms", sa.JSON, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("winner", sa.String(63)),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("goal", sa.String(32), nullable=False),
        sa.Column("min_effect", sa.Float, nullable=False),
        sa.Column("periods", sa.JSON, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("started", sa.BigInteger),
        sa.Column("ended", sa.BigInteger),
    )


def _observations() -> None:
    """What is seen and said of arms."""
    op.create_table(
        "experiment_units",
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("unit", sa.String(16), nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("first", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTS),
        *(sa.Column(name, sa.Float, nullable=False) for name in _TOTALS),
        sa.PrimaryKeyConstraint("salt", "unit", "arm", "epoch"),
    )
    op.create_table(
        "experiment_finishes",
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.Column("finish", sa.String(32), nullable=False),
        sa.Column("requests", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("salt", "arm", "finish"),
    )
    op.create_table(
        "experiment_answers",
        sa.Column("id", _COUNTER, primary_key=True),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
    )
    op.create_index("answers_by_arm", "experiment_answers", ["salt", "arm", "id"])
    op.create_table(
        "feedback",
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=False),
        sa.Column("id", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("labels", sa.JSON, nullable=False),
        sa.Column("salt", sa.String(32), nullable=False),
        sa.Column("arm", sa.String(63), nullable=False),
        sa.PrimaryKeyConstraint("tenant", "request_id"),
    )
    op.create_index("feedback_by_experiment", "feedback", ["salt", "id"])


def _usage() -> None:
    """Wider ids and arms, and what tells arms apart."""
    with op.batch_alter_table("usage") as usage:
        usage.alter_column("request_id", existing_type=sa.String(64), type_=sa.String(128))
        usage.alter_column("arm", existing_type=sa.String(63), type_=sa.String(127))
        for column in (
            sa.Column("experiment", sa.String(32), nullable=False, server_default=""),
            sa.Column("unit", sa.String(16), nullable=False, server_default=""),
            sa.Column("epoch", sa.Integer, nullable=False, server_default="0"),
            sa.Column("finish", sa.String(32), nullable=False, server_default=""),
            sa.Column("streamed", sa.Boolean, nullable=False, server_default=sa.false()),
            sa.Column("failed", sa.Boolean, nullable=False, server_default=sa.false()),
        ):
            usage.add_column(column)
    op.create_index("usage_by_request", "usage", ["request_id"])
    with op.batch_alter_table("usage_hours") as hours:
        hours.alter_column("arm", existing_type=sa.String(63), type_=sa.String(127))
