"""Tables of experiments and of what is observed of their arms, the same on SQLite and Postgres.
The migrations make them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
)

from serve_app.control.schema import COUNTER, METADATA

COUNTS = ("requests", "errors", "first_tokens", "answers", "scores")
TOTALS = ("first_token_s", "tokens_per_s", "completion_tokens", "score")

experiments = Table(
    "experiments",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("salt", String(32), nullable=False, unique=True),
    Column("owner", String(63), nullable=False),
    Column("description", Text, nullable=False),
    Column("arms", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("winner", String(63)),
    Column("epoch", Integer, nullable=False),
    Column("goal", String(32), nullable=False),
    Column("min_effect", Float, nullable=False),
    Column("periods", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("started", BigInteger),
    Column("ended", BigInteger),
)

units = Table(
    "experiment_units",
    METADATA,
    Column("salt", String(32), nullable=False),
    Column("unit", String(16), nullable=False),
    Column("arm", String(63), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("first", Boolean, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTS),
    *(Column(name, Float, nullable=False) for name in TOTALS),
    PrimaryKeyConstraint("salt", "unit", "arm", "epoch"),
)
"""What one unit had of one arm, in sums, by the weights it was assigned by: ``epoch``, 0 if the arm
is a shadow. ``first`` says that no arm had answered the unit before."""

finishes = Table(
    "experiment_finishes",
    METADATA,
    Column("salt", String(32), nullable=False),
    Column("arm", String(63), nullable=False),
    Column("finish", String(32), nullable=False),
    Column("requests", BigInteger, nullable=False),
    PrimaryKeyConstraint("salt", "arm", "finish"),
)

answers = Table(
    "experiment_answers",
    METADATA,
    Column("id", COUNTER, primary_key=True),
    Column("salt", String(32), nullable=False),
    Column("arm", String(63), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("answer", Text, nullable=False),
    Index("answers_by_arm", "salt", "arm", "id"),
)
"""What shadow arms answered."""

feedback = Table(
    "feedback",
    METADATA,
    Column("tenant", String(63), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("id", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("score", Float, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("salt", String(32), nullable=False),
    Column("arm", String(63), nullable=False),
    PrimaryKeyConstraint("tenant", "request_id"),
    Index("feedback_by_experiment", "salt", "id"),
)
"""What was thought last of the requests of an id. ``id``, of the request's usage, tells of which of
them: clients may give one id to several."""
