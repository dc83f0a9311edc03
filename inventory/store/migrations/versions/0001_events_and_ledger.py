"""The chain of events and the tables of the ledger."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_BIG = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("seq", _BIG, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("effective_on", sa.String(10), nullable=False),
        sa.Column("recorded_ms", _BIG, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("previous_hash", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("events_by_subject", "events", ["subject", "seq"])
    head = op.create_table(
        "chain_head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("seq", _BIG, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
        sa.CheckConstraint("id = 1", name="one_head"),
    )
    op.bulk_insert(head, [{"id": 1, "seq": 0, "hash": "0" * 64}])
    _create_ledger()


def _create_ledger() -> None:
    op.create_table(
        "senders",
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("baseline_day", sa.String(10)),
        sa.Column("ledger_day", sa.String(10)),
        sa.Column("applied_import", sa.Text),
        sa.Column("mapping", sa.Text),
    )
    op.create_table(
        "imports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("filename", sa.Text, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("stated_as_of", sa.String(10)),
        sa.Column("effective_on", sa.String(10), nullable=False),
        sa.Column("amends_baseline", sa.Boolean, nullable=False),
        sa.Column("illustrative", sa.Boolean, nullable=False),
        sa.Column("systems", sa.Integer, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("received_ms", _BIG, nullable=False),
        sa.Column("received_by", sa.Text, nullable=False),
        sa.Column("applied_ms", _BIG),
        sa.Column("applied_by", sa.Text),
        sa.Column("findings_gone", sa.Text, nullable=False),
    )
    op.create_index("imports_by_sender", "imports", ["sender", "number"])
    op.create_table(
        "import_changes",
        sa.Column("import_id", sa.Text, primary_key=True),
        sa.Column("row_key", sa.Text, primary_key=True),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("old", sa.Text),
        sa.Column("new", sa.Text),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
    )
    op.create_table(
        "claims",
        sa.Column("sender", sa.Text, primary_key=True),
        sa.Column("row_key", sa.Text, primary_key=True),
        sa.Column("system_key", sa.Text, nullable=False),
        sa.Column("name_key", sa.Text, nullable=False),
        sa.Column("standing", sa.Text, nullable=False),
        sa.Column("question", sa.Text),
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("baseline", sa.Boolean, nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
    )
    op.create_index("claims_by_system", "claims", ["system_key", "standing"])
    op.create_index("claims_by_name", "claims", ["name_key"])
    op.create_table(
        "system_changes",
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("seq", _BIG, primary_key=True),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("effective_on", sa.String(10), nullable=False),
        sa.Column("change", sa.Text, nullable=False),
        sa.Column("fields", sa.Text),
    )
    op.create_table(
        "systems",
        sa.Column("system_key", sa.Text, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("department", sa.Text),
        sa.Column("ownership", sa.Text),
        sa.Column("zone", sa.Text),
        sa.Column("disposition", sa.Text),
        sa.Column("should_migrate", sa.Boolean),
        sa.Column("migrated", sa.Boolean),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("merged", sa.Boolean, nullable=False),
        sa.Column("in_baseline", sa.Boolean, nullable=False),
        sa.Column("present", sa.Boolean, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("row", sa.Integer, nullable=False),
        sa.Column("fields", sa.Text, nullable=False),
    )
    op.create_table(
        "findings",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("sender", sa.Text, nullable=False),
        sa.Column("identity", sa.Text, nullable=False),
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("sheet", sa.Text, nullable=False),
        sa.Column("row", sa.Integer),
        sa.Column("cell", sa.Text),
        sa.Column("row_key", sa.Text),
        sa.Column("field", sa.Text),
        sa.Column("of", sa.Text),
        sa.Column("value", sa.Text),
        sa.Column("remedy", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_ms", _BIG),
    )
    op.create_index("findings_by_identity", "findings", ["sender", "identity"])
    op.create_index("findings_by_state", "findings", ["state"])
    op.create_table(
        "conflicts",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("system_key", sa.Text, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("standing_sender", sa.Text, nullable=False),
        sa.Column("standing_value", sa.Text, nullable=False),
        sa.Column("claiming_sender", sa.Text, nullable=False),
        sa.Column("claiming_value", sa.Text, nullable=False),
        sa.Column("claiming_row", sa.Text, nullable=False),
        sa.Column("import_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decision", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_ms", _BIG),
    )
    op.create_index("conflicts_by_system", "conflicts", ["system_key", "field"])
    op.create_index("conflicts_by_state", "conflicts", ["state"])
