"""The parser's findings as stored: each with a short id, and an identity by which a later file's finding is known.

The identity follows the row's system and not its place, so that a row inserted above changes nothing: a finding
that comes again keeps its id and what a person decided about it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from inventory.intake.identity import keyed_rows, name_key
from inventory.intake.numbering import Numbers
from inventory.ledger import Finding, FindingKind, LedgerReading
from inventory.store.chain import canonical_json
from inventory.store.ledger.records import LedgerRecords, Record


def duplicate_identity(row_key: str, of: str) -> str:
    return canonical_json([FindingKind.POSSIBLE_DUPLICATE.value, row_key, of])


@dataclass(frozen=True, slots=True)
class IdentifiedFinding:
    """A finding with its identity, and the key of the row that it is about (None where no row can be named)."""

    identity: str
    finding: Finding
    row_key: str | None


def identified(reading: LedgerReading) -> Iterator[IdentifiedFinding]:
    """Every finding of a reading; no two have the same identity."""
    if not reading.findings:
        return
    places: dict[tuple[str, int], str] = {}
    names: dict[str, str | None] = {}
    for row in keyed_rows(reading):
        places[row.system.sheet, row.system.row] = row.row_key
        key = name_key(row.system.name)
        names[key] = None if key in names else row.row_key
    seen: Counter[str] = Counter()
    for finding in reading.findings:
        row_key = places.get((finding.sheet, finding.row))
        identity = _identity(finding, row_key)
        if finding.kind is FindingKind.CONFLICT and finding.of is not None:
            row_key = names.get(name_key(finding.of))  # the row that stands, not the one that contradicts it
        seen[identity] += 1
        yield IdentifiedFinding(
            identity if seen[identity] == 1 else f"{identity}#{seen[identity]}", finding, row_key
        )


def _identity(finding: Finding, row_key: str | None) -> str:
    if finding.kind is FindingKind.POSSIBLE_DUPLICATE and row_key is not None and finding.of is not None:
        return duplicate_identity(row_key, finding.of)
    if finding.kind is FindingKind.CONFLICT:
        return canonical_json([finding.kind.value, finding.of, finding.field, finding.value])
    place = [row_key] if row_key is not None else [finding.sheet, finding.row]
    column = finding.cell.rstrip("0123456789") if finding.kind is FindingKind.CREDENTIAL_REFUSED else finding.field
    return canonical_json([finding.kind.value, *place, column, finding.of, finding.value])


def known(records: LedgerRecords, sender: str) -> dict[str, Record]:
    """The sender's findings that still say something (open or settled), by identity."""
    return {row["identity"]: row for row in records.findings("open", "settled", sender=sender)}


def stored_form(one: IdentifiedFinding, numbers: Numbers) -> dict[str, Any]:
    """The finding as the event holds it, with its new id."""
    number = numbers.finding()
    return {
        "id": f"F{number}",
        "number": number,
        "identity": one.identity,
        "row_key": one.row_key,
        "kind": one.finding.kind.value,
        "sheet": one.finding.sheet,
        "row": one.finding.row,
        "cell": one.finding.cell,
        "field": one.finding.field,
        "of": one.finding.of,
        "value": one.finding.value,
        "remedy": one.finding.remedy,
    }
