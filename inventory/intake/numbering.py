"""Gives out the numbers of the short ids that people type: I1, F1, C1 and on."""

from __future__ import annotations

from inventory.store.ledger.records import LedgerRecords


class Numbers:
    """The next numbers after what is stored. One object serves one write transaction, so none is given twice."""

    def __init__(self, records: LedgerRecords) -> None:
        self._records = records
        self._last: dict[str, int] = {}

    def new_import(self) -> int:
        return self._next("imports")

    def finding(self) -> int:
        return self._next("findings")

    def conflict(self) -> int:
        return self._next("conflicts")

    def _next(self, what: str) -> int:
        if what not in self._last:
            self._last[what] = self._records.last_number(what)
        self._last[what] += 1
        return self._last[what]
