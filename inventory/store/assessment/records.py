"""Asks the assessment's tables by name. `inventory.assessment` is the only caller; it sees dictionaries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, func, select

from inventory.store.assessment.tables import (
    cases,
    decisions,
    exceptions,
    measured_files,
    measurements,
    roles,
    traffic,
)

Record = dict[str, Any]


class AssessmentRecords:
    """Reads through one connection: one state of the database."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def measurements(self) -> dict[str, Mapping[str, Any]]:
        """system key -> its newest measurement, as JSON values."""
        rows = self._all(select(measurements.c.system_key, measurements.c.body))
        return {row["system_key"]: json.loads(row["body"]) for row in rows}

    def traffic(self) -> list[Record]:
        """The flows of the newest traffic file: user_key, used_key, requests, bytes."""
        return self._all(select(traffic).order_by(traffic.c.user_key, traffic.c.used_key))

    def newest_file(self, kind: str) -> Record | None:
        """The newest measured file of this kind; its `observed` system keys as a list."""
        query = select(measured_files).where(measured_files.c.kind == kind)
        rows = self._all(query.order_by(measured_files.c.number.desc()).limit(1))
        return rows[0] | {"observed": json.loads(rows[0]["observed"])} if rows else None

    def cases(self, workflow: str | None = None) -> list[Record]:
        """Review cases, oldest first, `evidence` and `history` parsed."""
        query = select(cases) if workflow is None else select(cases).where(cases.c.workflow == workflow)
        return [_case(row) for row in self._all(query.order_by(cases.c.number))]

    def case(self, case_id: str) -> Record | None:
        rows = self._all(select(cases).where(cases.c.id == case_id))
        return _case(rows[0]) if rows else None

    def decisions(self) -> dict[str, Record]:
        return {row["system_key"]: row for row in self._all(select(decisions))}

    def exceptions(self) -> list[Record]:
        """All exceptions ever granted, oldest first."""
        return self._all(select(exceptions).order_by(exceptions.c.number))

    def roles(self) -> dict[str, Record]:
        return {row["system_key"]: row for row in self._all(select(roles))}

    def next_number(self, table: str) -> int:
        """The next free number of cases, exceptions or files."""
        column = {"cases": cases.c.number, "exceptions": exceptions.c.number, "files": measured_files.c.number}
        highest = self._connection.execute(select(func.max(column[table]))).scalar()
        return 1 + (highest or 0)

    def _all(self, query: Select[Any]) -> list[Record]:
        return [dict(row) for row in self._connection.execute(query).mappings()]


def _case(row: Record) -> Record:
    return row | {name: json.loads(row[name]) for name in ("evidence", "history")}
