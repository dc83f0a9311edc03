"""The tables of assessment: measurements, traffic, review cases, decisions, exceptions, roles."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "assessment_measurements",
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
    )
    op.create_table(
        "assessment_traffic",
        sa.Column("user_key", sa.Text, primary_key=True),
        sa.Column("used_key", sa.Text, primary_key=True),
        sa.Column("requests", _BIG, nullable=False),
        sa.Column("bytes", _BIG, nullable=False),
    )
    op.create_table(
        "assessment_files",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("sha256", sa.Text, nullable=False),
        sa.Column("first_day", sa.String(10)),
        sa.Column("last_day", sa.String(10)),
        sa.Column("observed", sa.Text, nullable=False),
        sa.Column("recorded_ms", _BIG, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
    )
    op.create_table(
        "assessment_cases",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("workflow", sa.Text, nullable=False),
        sa.Column("system_key", sa.Text, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", sa.String(10), nullable=False),
        sa.Column("history", sa.Text, nullable=False),
    )
    op.create_index("assessment_cases_by_system", "assessment_cases", ["system_key", "workflow"])
    op.create_table(
        "assessment_decisions",
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("disposition", sa.Text, nullable=False),
        sa.Column("proposed", sa.Text),
        sa.Column("rule", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("decided_on", sa.String(10), nullable=False),
        sa.Column("decided_by", sa.Text, nullable=False),
    )
    op.create_table(
        "assessment_exceptions",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("rule", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("approver", sa.Text, nullable=False),
        sa.Column("granted_on", sa.String(10), nullable=False),
        sa.Column("expires_on", sa.String(10), nullable=False),
        sa.Column("granted_by", sa.Text, nullable=False),
    )
    op.create_table(
        "assessment_roles",
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("document", sa.Text, nullable=False),
        sa.Column("declared_on", sa.String(10), nullable=False),
        sa.Column("declared_by", sa.Text, nullable=False),
    )
