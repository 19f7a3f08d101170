"""The tables. A change here needs a new file in `migrations/versions`; a test compares both."""

from sqlalchemy import BigInteger, Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

_NUMBER = BigInteger().with_variant(Integer, "sqlite")
"""SQLite counts by itself only in columns of its own INTEGER."""

jobs = Table(
    "jobs",
    metadata,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("id", String(64), nullable=False, unique=True),
    Column("kind", String(64), nullable=False),
    Column("status", String(16), nullable=False),
    Column("job_order", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("created", Double, nullable=False),
    Column("not_before", Double, nullable=False),
    Column("started", Double),
    Column("ended", Double),
    Column("expires", Double),
    Column("attempts", Integer, nullable=False),
    Column("progress", Double, nullable=False),
    Column("stage", String(64)),
    Column("result", Text),
    Column("failure", Text),
    Column("last_event", Integer, nullable=False),
    Column("lease", String(64)),
    Column("lease_until", Double),
    Index("jobs_by_status", "status", "number"),
    Index("jobs_by_expiry", "expires"),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job", ForeignKey("jobs.number", ondelete="CASCADE"), primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("created", Double, nullable=False),
    Column("detail", Text, nullable=False),
)
