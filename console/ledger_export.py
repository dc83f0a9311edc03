"""Writes the stored ledger to a file: a workbook, CSV, or JSON. `xisuan ledger export` calls it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Any, BinaryIO

from console.ledger_access import LedgerAccess
from console.reading_file import write_list
from inventory.ledger.export import ExportTitle, export_csv, export_workbook
from inventory.model.system import System
from inventory.store.ledger.rows import FIELD_NAMES, system_of

FORMATS = (".xlsx", ".csv", ".json")
_WRITERS: Mapping[str, Callable[[Iterable[System], ExportTitle], bytes]] = {
    ".xlsx": export_workbook,
    ".csv": export_csv,
}


def write_export(suffix: str, ledger: LedgerAccess, query: tuple[str, str], output: BinaryIO) -> int:
    """Writes the systems of a scope as of a day (empty: everything known); returns how many they are."""
    scope, as_of = query
    report = ledger.rates(as_of, "ownership=all", False)
    title = ExportTitle(date.fromisoformat(report["as_of"]), report["illustrative"])
    found = list(ledger.systems(scope, as_of))
    if suffix == ".json":
        head = {"as_of": report["as_of"], "illustrative": report["illustrative"], "scope": scope}
        output.write(json.dumps(head, ensure_ascii=False)[:-1].encode() + b', "systems": ')
        write_list(found, output)
        output.write(b"}\n")
    else:
        output.write(_WRITERS[suffix]((_system(one) for one in found), title))
    return len(found)


def _system(shown: Mapping[str, Any]) -> System:
    """The system that a document of the ledger describes."""
    fields = {name: shown[name] for name in FIELD_NAMES if shown.get(name) is not None}
    return system_of(fields, shown["sheet"], shown["row"])
