"""Who leads on this store, and for how long: one row, renewed by the leader and watched by whoever stands by."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    big = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "leader_lease",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("holder", sa.Text, nullable=False),
        sa.Column("term", big, nullable=False),
        sa.Column("renewals", big, nullable=False),
        sa.Column("epoch", big, nullable=False),
        sa.Column("length_ms", big, nullable=False),
        sa.Column("expires_ms", big, nullable=False),
        sa.CheckConstraint("id = 1", name="one_lease"),
    )
