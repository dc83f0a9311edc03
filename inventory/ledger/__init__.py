"""The ledger parser: a department's workbook in, systems and findings out. Pure: bytes in, values out.

Public names, for `inventory.intake` and the command line:

- `read_ledger(content, filename, mapping=None) -> LedgerReading`
- `reading_json(reading) -> dict`, `totals(systems) -> LedgerTotals`
- `mark_up(content, filename, reading) -> bytes`
- `HeaderMapping.from_yaml(text)`, `mapping.to_yaml()`
- `LedgerError`, the base of every error that these raise; its text is one line for the user
"""

from inventory.ledger.duplicates import HeldDuplicate
from inventory.ledger.errors import LedgerError
from inventory.ledger.findings import Finding, FindingKind
from inventory.ledger.mapping import HeaderMapping
from inventory.ledger.markup import mark_up
from inventory.ledger.read import read_ledger
from inventory.ledger.reading import (
    HiddenRow,
    LedgerReading,
    LedgerTotals,
    SkippedSheet,
    finding_json,
    reading_json,
    system_json,
    totals,
)
from inventory.ledger.tables import HeadingReport

__all__ = [
    "Finding",
    "FindingKind",
    "HeaderMapping",
    "HeadingReport",
    "HeldDuplicate",
    "HiddenRow",
    "LedgerError",
    "LedgerReading",
    "LedgerTotals",
    "SkippedSheet",
    "finding_json",
    "mark_up",
    "read_ledger",
    "reading_json",
    "system_json",
    "totals",
]
