"""The registry's tables, the same on SQLite and Postgres. The migrations make them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

METADATA = MetaData()
COUNTER = BigInteger().with_variant(Integer, "sqlite")

meta = Table(
    "meta",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", BigInteger, nullable=False),
)

adapters = Table(
    "adapters",
    METADATA,
    Column("name", String(63), primary_key=True),
    Column("owner", String(63)),
    Column("description", Text, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("preload", Boolean, nullable=False),
    Column("pin", Boolean, nullable=False),
    Column("declared", Boolean, nullable=False),
    Column("stamp", Text),
    Column("terms", Text),
    Column("current", Integer),
    Column("previous", Integer),
    Column("last_number", Integer, nullable=False),
    Column("former", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("removed", BigInteger),
)

versions = Table(
    "versions",
    METADATA,
    Column("adapter", String(63), ForeignKey("adapters.name"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("rank", Integer, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("created_by", String(63), nullable=False),
    Column("retired", BigInteger),
    Column("gone", BigInteger),
    PrimaryKeyConstraint("adapter", "number"),
    UniqueConstraint("adapter", "digest"),
)

grants = Table(
    "grants",
    METADATA,
    Column("adapter", String(63), ForeignKey("adapters.name"), nullable=False),
    Column("tenant", String(63), nullable=False),
    PrimaryKeyConstraint("adapter", "tenant"),
)

tenants = Table(
    "tenants",
    METADATA,
    Column("id", String(63), primary_key=True),
    Column("description", Text, nullable=False),
    Column("adapters", JSON, nullable=False),
    Column("default_adapter", String(63)),
    Column("base", Boolean, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("weight", Float, nullable=False),
    Column("limits", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
)

keys = Table(
    "keys",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("fingerprint", String(64), nullable=False, unique=True),
    Column("label", String(255), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("expires", BigInteger),
    Column("limits", JSON, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("created_by", String(63), nullable=False),
    Column("revoked", BigInteger),
    Column("rotated_from", String(32)),
    Column("last_used", BigInteger),
    Index("keys_by_tenant", "tenant"),
)

aliases = Table(
    "aliases",
    METADATA,
    Column("alias", String(63), primary_key=True),
    Column("adapter", String(63), nullable=False),
    Column("number", Integer, nullable=False),
    ForeignKeyConstraint(["adapter", "number"], ["versions.adapter", "versions.number"]),
)

registrations = Table(
    "registrations",
    METADATA,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("adapter", String(63), ForeignKey("adapters.name"), nullable=False),
    Column("request", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("code", String(63)),
    Column("message", Text),
    Column("number", Integer),
    Column("created", BigInteger, nullable=False),
    Column("ended", BigInteger),
    Index("registrations_by_adapter", "adapter"),
)

audit = Table(
    "audit",
    METADATA,
    Column("id", COUNTER, primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("actor", String(63), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(127), nullable=False),
    Column("owner", String(63)),
    Column("detail", JSON, nullable=False),
    Index("audit_by_owner", "owner", "id"),
)
