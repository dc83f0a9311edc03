"""What a newer file of a sender changes: rows added, changed (old and new of each field), missing from the file.

`imports` computes it when a file comes in; the command line shows it before a person applies it. A row that only
moved to another place in the file has not changed. A renamed system is one missing and one added: a name and a
department are all that a system is known by, and guessing at a rename would be a silent merge.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from inventory.intake.identity import SubmittedRow, keyed_rows
from inventory.ledger import LedgerReading
from inventory.store.chain import canonical_json
from inventory.store.ledger.rows import FIELD_NAMES, SUSPICION

ADDED, CHANGED, MISSING = "added", "changed", "missing"


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field. `old` and `new` are JSON values; None is unknown.

    The field `possible_duplicate_of` is the parser's suspicion, which comes or goes with the row.
    """

    field: str
    old: object
    new: object


@dataclass(frozen=True, slots=True)
class RowChange:
    """One row: where it stands (for a missing one: stood), and for a changed one its changed fields.

    `held`: the row waits for a person and is not counted.
    """

    key: str
    name: str
    department: str | None
    sheet: str
    row: int
    held: bool
    fields: tuple[FieldChange, ...] = ()


@dataclass(frozen=True, slots=True)
class Diff:
    """Everything that an import changes. `findings_gone` and `findings_new` are ids."""

    added: tuple[RowChange, ...] = ()
    changed: tuple[RowChange, ...] = ()
    missing: tuple[RowChange, ...] = ()
    findings_new: tuple[str, ...] = ()
    findings_gone: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.changed or self.missing or self.findings_new or self.findings_gone)


@dataclass(frozen=True, slots=True)
class Change:
    """One row of the comparison, as it is stored: `old` and `new` are rows' fields, None where there is none."""

    key: str
    change: str
    old: Mapping[str, Any] | None
    new: Mapping[str, Any] | None
    sheet: str
    row: int


@dataclass(frozen=True, slots=True)
class StandingRow:
    """What the sender's latest applied file says of a row; `text` is the canonical JSON of its fields."""

    text: str
    sheet: str
    row: int


def compare(standing: dict[str, StandingRow], submitted: Iterable[SubmittedRow]) -> Iterator[Change]:
    """The differences. Consumes `standing`: what is left of it in the end is missing from the file."""
    for row in submitted:
        before = standing.pop(row.row_key, None)
        if before is None:
            yield Change(row.row_key, ADDED, None, row.fields, row.sheet, row.row)
        elif before.text != canonical_json(row.fields):
            yield Change(row.row_key, CHANGED, json.loads(before.text), row.fields, row.sheet, row.row)
    for key, gone in standing.items():
        yield Change(key, MISSING, json.loads(gone.text), None, gone.sheet, gone.row)


def show(changes: Iterable[Change], findings_new: tuple[str, ...], findings_gone: tuple[str, ...]) -> Diff:
    """The diff for people, in the order of the file."""
    by_kind: dict[str, list[RowChange]] = {ADDED: [], CHANGED: [], MISSING: []}
    for change in changes:
        by_kind[change.change].append(_shown(change))
    return Diff(
        tuple(by_kind[ADDED]), tuple(by_kind[CHANGED]), tuple(by_kind[MISSING]), findings_new, findings_gone
    )


def show_all_added(reading: LedgerReading, findings_new: tuple[str, ...]) -> Diff:
    """The diff of a sender's first file, straight from its rows."""
    added = tuple(
        RowChange(
            key=row.row_key,
            name=row.system.name,
            department=row.system.department,
            sheet=row.system.sheet,
            row=row.system.row,
            held=row.suspected_of is not None,
        )
        for row in keyed_rows(reading)
    )
    return Diff(added=added, findings_new=findings_new)


def _shown(change: Change) -> RowChange:
    fields = change.new if change.new is not None else change.old
    assert fields is not None
    return RowChange(
        key=change.key,
        name=fields["name"],
        department=fields.get("department"),
        sheet=change.sheet,
        row=change.row,
        held=SUSPICION in fields,
        fields=_field_changes(change.old, change.new) if change.change == CHANGED else (),
    )


def _field_changes(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> tuple[FieldChange, ...]:
    before, after = old or {}, new or {}
    return tuple(
        FieldChange(name, before.get(name), after.get(name))
        for name in (*FIELD_NAMES, SUSPICION)
        if before.get(name) != after.get(name)
    )
