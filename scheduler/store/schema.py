"""The scheduler's tables, beside the ledger's in one database.

All but `adapter_cursors` are projections of the event chain (see `scheduler.store.projection`). A cursor is only
a place to resume from: it is written in the transaction of the reports that it covers.
"""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, Index, Integer, Table, Text, UniqueConstraint

from inventory.store.schema import Big, metadata

workloads = Table(
    "workloads",
    metadata,
    Column("workload_id", Text, primary_key=True),
    # The number in the id: it rises in the order of acceptance, and pages count by it.
    Column("number", Big, nullable=False, unique=True),
    Column("queue", Text, nullable=False),
    Column("client_key", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("submitted_ms", Big, nullable=False),
    Column("body", Text, nullable=False),
    # The array that it is an element of; NULL where it is none.
    Column("array_id", Text),
    UniqueConstraint("queue", "client_key", name="one_workload_a_client_key"),
    Index("workloads_by_state", "state", "number"),
    Index("workloads_by_array", "array_id", "state"),
)

runs = Table(
    "runs",
    metadata,
    Column("run_id", Text, primary_key=True),
    Column("workload_id", Text, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("pool_id", Text, nullable=False),
    Column("nodes", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("exit_code", Integer),
    Column("message", Text, nullable=False),
    Column("placed_ms", Big, nullable=False),
    Column("started_ms", Big),
    Column("ended_ms", Big),
    Column("failure", Text),
    Index("runs_by_workload", "workload_id", "attempt"),
)

pools = Table(
    "pools",
    metadata,
    Column("pool_id", Text, primary_key=True),
    Column("declaration", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("admission", Text, nullable=False),
)

wave_plans = Table(
    "wave_plans",
    metadata,
    Column("plan_id", Text, primary_key=True),
    Column("number", Big, nullable=False, unique=True),
    Column("document", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("made_ms", Big, nullable=False),
)

adapter_cursors = Table(
    "adapter_cursors",
    metadata,
    Column("pool_id", Text, primary_key=True),
    Column("cursor", Text, nullable=False),
)

# One row. Not a projection: who leads is of the moment, and is no part of what happened.
leader_lease = Table(
    "leader_lease",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("term", Big, nullable=False),
    Column("renewals", Big, nullable=False),
    Column("epoch", Big, nullable=False),
    Column("length_ms", Big, nullable=False),
    Column("expires_ms", Big, nullable=False),
    CheckConstraint("id = 1", name="one_lease"),
)
