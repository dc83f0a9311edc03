"""The tables of the store, as the code sees them today.

One MetaData for all: `scheduler.store.schema` adds its tables to `metadata` too. What a database holds is made by
the migrations, never by `create_all`; a test compares the two. Adding a table: define it here (or in the
scheduler's schema), write a migration (see `migrations/__init__.py`), and give it to a Projection if it is to be
rebuilt from the events.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, Index, Integer, MetaData, String, Table, Text

metadata = MetaData()

# SQLite makes a column its row id only when it is declared INTEGER; PostgreSQL's INTEGER ends at 2^31.
Big = BigInteger().with_variant(Integer, "sqlite")
# Days are ISO text on both engines: they compare as days and hash as they stand.
Day = String(10)

events = Table(
    "events",
    metadata,
    Column("seq", Big, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("payload", Text, nullable=False),
    Column("effective_on", Day, nullable=False),
    Column("recorded_ms", Big, nullable=False),
    Column("actor", Text, nullable=False),
    Column("previous_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    Index("events_by_subject", "subject", "seq"),
)

# One row, locked by every writer: who holds it may append, so the numbers have no gaps and the chain no forks.
chain_head = Table(
    "chain_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("seq", Big, nullable=False),
    Column("hash", String(64), nullable=False),
    CheckConstraint("id = 1", name="one_head"),
)
