"""The tables of the ledger projection. All of them can be rebuilt from the events.

Ids that people type are short: imports I1, I2 ..., findings F1 ..., conflicts C1 ... Their numbers are given out
by the intake and stand in the events. JSON columns hold canonical JSON text. Days are ISO text.
"""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from inventory.store.schema import Big, Day, metadata

# Who sends ledgers. `ledger_day` is the latest day for which an applied import of this sender holds;
# `baseline_day` the day of the first one, which froze the baseline; `mapping` is the remembered header mapping.
senders = Table(
    "senders",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("baseline_day", Day),
    Column("ledger_day", Day),
    Column("applied_import", Text),
    Column("mapping", Text),
)

# Who sent what, when. `status` is applied, pending or superseded; `stated_as_of` is the day that the file names,
# `effective_on` the day from which it counts. `amends_baseline`: its additions and removals correct the baseline.
imports = Table(
    "imports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("filename", Text, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("status", Text, nullable=False),
    Column("stated_as_of", Day),
    Column("effective_on", Day, nullable=False),
    Column("amends_baseline", Boolean, nullable=False),
    Column("illustrative", Boolean, nullable=False),
    Column("systems", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("received_ms", Big, nullable=False),
    Column("received_by", Text, nullable=False),
    Column("applied_ms", Big),
    Column("applied_by", Text),
    Column("findings_gone", Text, nullable=False),  # JSON: ids that a pending import will close
    Index("imports_by_sender", "sender", "number"),
)

# What an import that waits for `apply` would change, row by row. `old` and `new` are rows as in `claims`.
import_changes = Table(
    "import_changes",
    metadata,
    Column("import_id", Text, primary_key=True),
    Column("row_key", Text, primary_key=True),
    Column("change", Text, nullable=False),  # added, changed, missing
    Column("old", Text),
    Column("new", Text),
    Column("sheet", Text, nullable=False),
    Column("row", Integer, nullable=False),
)

# Each sender's latest applied file, row by row: what this sender says. `standing` is counted (it speaks for the
# system `system_key`), held (a person must say what it is: see `question`), or out (a confirmed duplicate).
claims = Table(
    "claims",
    metadata,
    Column("sender", Text, primary_key=True),
    Column("row_key", Text, primary_key=True),
    Column("system_key", Text, nullable=False),
    Column("name_key", Text, nullable=False),
    Column("standing", Text, nullable=False),
    Column("question", Text),
    Column("import_id", Text, nullable=False),
    Column("baseline", Boolean, nullable=False),
    Column("sheet", Text, nullable=False),
    Column("row", Integer, nullable=False),
    Column("fields", Text, nullable=False),
    Index("claims_by_system", "system_key", "standing"),
    Index("claims_by_name", "name_key"),
)

# Everything that ever changed one system, in the order in which it was recorded; `fold` makes the state of it.
# `fields` is the row of a claim, beside its `change`: the same text as in `claims`.
system_changes = Table(
    "system_changes",
    metadata,
    Column("system_key", Text, primary_key=True),
    Column("seq", Big, primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("effective_on", Day, nullable=False),
    Column("change", Text, nullable=False),
    Column("fields", Text),
)

# The state of each system after all events. `fields` is what stands of all claims; the other columns repeat parts
# of it for queries. `present` is false when no sender's file holds the system any more.
systems = Table(
    "systems",
    metadata,
    Column("system_key", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("department", Text),
    Column("ownership", Text),
    Column("zone", Text),
    Column("disposition", Text),
    Column("should_migrate", Boolean),
    Column("migrated", Boolean),
    Column("closed", Boolean, nullable=False),
    Column("merged", Boolean, nullable=False),
    Column("in_baseline", Boolean, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("sender", Text, nullable=False),
    Column("import_id", Text, nullable=False),
    Column("sheet", Text, nullable=False),
    Column("row", Integer, nullable=False),
    Column("fields", Text, nullable=False),
)

# What the parser found in a file. `identity` is the same when the same finding comes again in a later file, even
# on another row. `state`: pending (its import waits), open, settled (by a person), gone (a later file is clean).
findings = Table(
    "findings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("sender", Text, nullable=False),
    Column("identity", Text, nullable=False),
    Column("import_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("sheet", Text, nullable=False),
    Column("row", Integer),
    Column("cell", Text),
    Column("row_key", Text),
    Column("field", Text),
    Column("of", Text),
    Column("value", Text),
    Column("remedy", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("decision", Text),
    Column("reason", Text),
    Column("decided_by", Text),
    Column("decided_ms", Big),
    Index("findings_by_identity", "sender", "identity"),
    Index("findings_by_state", "state"),
)

# Two senders claim different values for one field of one system: `standing_value` holds until a person decides.
# For the field "department" the question is whether `claiming_row` is the same system at all.
conflicts = Table(
    "conflicts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("system_key", Text, nullable=False),
    Column("field", Text, nullable=False),
    Column("standing_sender", Text, nullable=False),
    Column("standing_value", Text, nullable=False),
    Column("claiming_sender", Text, nullable=False),
    Column("claiming_value", Text, nullable=False),
    Column("claiming_row", Text, nullable=False),
    Column("import_id", Text, nullable=False),
    Column("state", Text, nullable=False),  # open, settled, gone
    Column("decision", Text),  # keep, take, both
    Column("reason", Text),
    Column("decided_by", Text),
    Column("decided_ms", Big),
    Index("conflicts_by_system", "system_key", "field"),
    Index("conflicts_by_state", "state"),
)

LEDGER_TABLES = (senders, imports, import_changes, claims, system_changes, systems, findings, conflicts)
