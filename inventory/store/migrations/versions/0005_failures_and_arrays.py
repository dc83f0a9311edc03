"""Why a run failed, and which array a workload is an element of."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("runs", sa.Column("failure", sa.Text))
    op.add_column("workloads", sa.Column("array_id", sa.Text))
    op.create_index("workloads_by_array", "workloads", ["array_id", "state"])
