"""The tables of the scheduler: workloads, runs, pools, wave plans, cutovers, cursors."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "workloads",
        sa.Column("workload_id", sa.Text, primary_key=True),
        sa.Column("number", _BIG, nullable=False, unique=True),
        sa.Column("queue", sa.Text, nullable=False),
        sa.Column("client_key", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("submitted_ms", _BIG, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("queue", "client_key", name="one_workload_a_client_key"),
    )
    op.create_index("workloads_by_state", "workloads", ["state", "number"])
    op.create_table(
        "runs",
        sa.Column("run_id", sa.Text, primary_key=True),
        sa.Column("workload_id", sa.Text, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("pool_id", sa.Text, nullable=False),
        sa.Column("nodes", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("exit_code", sa.Integer),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("placed_ms", _BIG, nullable=False),
        sa.Column("started_ms", _BIG),
        sa.Column("ended_ms", _BIG),
    )
    op.create_index("runs_by_workload", "runs", ["workload_id", "attempt"])
    op.create_table(
        "pools",
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("declaration", sa.Text, nullable=False),
        sa.Column("endpoint", sa.Text, nullable=False),
        sa.Column("admission", sa.Text, nullable=False),
    )
    op.create_table(
        "wave_plans",
        sa.Column("plan_id", sa.Text, primary_key=True),
        sa.Column("number", _BIG, nullable=False, unique=True),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("made_ms", _BIG, nullable=False),
    )
    op.create_table(
        "cutovers",
        sa.Column("plan_id", sa.Text, primary_key=True),
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("wave", sa.Integer, nullable=False),
        sa.Column("workload_id", sa.Text, nullable=False),
    )
    op.create_index("cutovers_by_workload", "cutovers", ["workload_id"])
    op.create_table(
        "adapter_cursors",
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("cursor", sa.Text, nullable=False),
    )
