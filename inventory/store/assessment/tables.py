"""The tables of the assessment projection. All of them can be rebuilt from the events.

JSON columns hold canonical JSON text, days are ISO text. A case, an exception and an import have short ids that
people type: R1, E1, U1 and T1; their numbers are given out by `inventory.assessment` and stand in the events.
"""

from __future__ import annotations

from sqlalchemy import Column, Index, Integer, Table, Text

from inventory.store.schema import Big, Day, metadata

# The newest measurement of each system: `body` as `inventory.utilisation.document` writes it.
measurements = Table(
    "assessment_measurements",
    metadata,
    Column("system_key", Text, primary_key=True),
    Column("import_id", Text, nullable=False),
    Column("body", Text, nullable=False),
)

# The newest traffic file: one row a pair of systems, and which systems it observed at all.
traffic = Table(
    "assessment_traffic",
    metadata,
    Column("user_key", Text, primary_key=True),
    Column("used_key", Text, primary_key=True),
    Column("requests", Big, nullable=False),
    Column("bytes", Big, nullable=False),
)
measured_files = Table(
    "assessment_files",
    metadata,
    Column("id", Text, primary_key=True),
    Column("kind", Text, nullable=False),  # utilisation, traffic
    Column("number", Integer, nullable=False),
    Column("filename", Text, nullable=False),
    Column("sha256", Text, nullable=False),
    Column("first_day", Day),
    Column("last_day", Day),
    Column("observed", Text, nullable=False),  # JSON: the system keys that it speaks of
    Column("recorded_ms", Big, nullable=False),
    Column("actor", Text, nullable=False),
)

# Review cases. `history` is a JSON list, one entry a step: action, state, day, actor, reason, document, sha256.
cases = Table(
    "assessment_cases",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("workflow", Text, nullable=False),
    Column("system_key", Text, nullable=False),
    Column("rule", Text, nullable=False),
    Column("evidence", Text, nullable=False),  # JSON: what the rule said when the case was opened
    Column("state", Text, nullable=False),
    Column("since", Day, nullable=False),  # the day from which it is in this state
    Column("history", Text, nullable=False),
    Index("assessment_cases_by_system", "system_key", "workflow"),
)

# The newest decision about each system.
decisions = Table(
    "assessment_decisions",
    metadata,
    Column("system_key", Text, primary_key=True),
    Column("disposition", Text, nullable=False),
    Column("proposed", Text),
    Column("rule", Text),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("decided_on", Day, nullable=False),
    Column("decided_by", Text, nullable=False),
)

exceptions = Table(
    "assessment_exceptions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("number", Integer, nullable=False),
    Column("rule", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("approver", Text, nullable=False),
    Column("granted_on", Day, nullable=False),
    Column("expires_on", Day, nullable=False),
    Column("granted_by", Text, nullable=False),
)

roles = Table(
    "assessment_roles",
    metadata,
    Column("system_key", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("declared_on", Day, nullable=False),
    Column("declared_by", Text, nullable=False),
)

ASSESSMENT_TABLES = (measurements, traffic, measured_files, cases, decisions, exceptions, roles)
