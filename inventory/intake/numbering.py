"""Gives out the numbers of the short ids that people type: I1, F1, C1 and on."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Table, func, select

from inventory.store.ledger.tables import conflicts, findings, imports


class Numbers:
    """The next numbers after what is stored. One object serves one write transaction, so none is given twice."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._last: dict[str, int] = {}

    def new_import(self) -> int:
        return self._next(imports, imports.c.number)

    def finding(self) -> int:
        return self._next(findings, findings.c.number)

    def conflict(self) -> int:
        return self._next(conflicts, conflicts.c.number)

    def _next(self, table: Table, number: Column[int]) -> int:
        if table.name not in self._last:
            self._last[table.name] = self._connection.execute(select(func.max(number))).scalar() or 0
        self._last[table.name] += 1
        return self._last[table.name]
