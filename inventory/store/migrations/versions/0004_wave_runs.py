"""Drops the table of cutovers: which run moves which system stands in the events that open runs."""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("cutovers_by_workload", "cutovers")
    op.drop_table("cutovers")
